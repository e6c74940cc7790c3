# What the reconciler may do: find what is live. It cannot mint, read any secret, or end anything; workers do that.

# Listing accessors needs `sudo` by Vault's own rule; it opens this one path and nothing else.
path "auth/token/accessors" {
  capabilities = ["list", "sudo"]
}
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}

# Leases whose token is gone and whose id was never recorded. One block for each leased path (up to its first parameter).
path "sys/leases/lookup/database/creds/orders-reader" {
  capabilities = ["list", "sudo"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# Its own login.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
