# The credential `orders-db`: make one database login, and nothing else. Mayfly holds this token for one read and drops it.

path "database/creds/orders-reader" {
  capabilities = ["read"]
}
