# What the broker's API may do in Vault or OpenBao: mint tokens on the listed token roles, one a credential, and undo its
# own mint. It cannot mint any other token, read any secret, look anything up or list. A new credential is a new line here.

path "auth/token/create/mayfly-orders-db" {
  capabilities = ["update"]
}
path "auth/token/create/mayfly-vault-token" {
  capabilities = ["update"]
}
path "auth/token/create/mayfly-payments-api-key" {
  capabilities = ["update"]
}

# Extending a task. Accessors and lease ids cannot be guessed, and this login cannot list them. Only credentials marked
# `renewable` have tokens that can be renewed.
path "auth/token/renew-accessor" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}

# Undoing a mint that failed half way. Accessors cannot be guessed, and this login cannot list them.
path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}

# Its own login.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
