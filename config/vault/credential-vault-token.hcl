# The credential `vault-token`: what an agent may do with the token it is given. It cannot renew itself.

path "kv/data/orders/*" {
  capabilities = ["read"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
