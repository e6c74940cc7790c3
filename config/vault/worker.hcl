# What revocation workers may do: end tokens and leases they know of, see that these are gone, and see whether a wrap was opened. They cannot mint,
# read any secret, or list.

path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}
path "auth/token/lookup-accessor" {
  capabilities = ["update"]
}
path "sys/leases/revoke" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# "Already gone" counts only on the mount that issued the lease: its accessor is compared. One block for each mount.
path "sys/mounts/database" {
  capabilities = ["read"]
}

# Its own login.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
