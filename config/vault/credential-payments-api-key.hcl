# The credential `payments-api-key`: read this one secret, and only so that the answer comes wrapped. Mayfly holds this
# token for one read and drops it; it never sees the secret. The longest wrap is the longest lifetime that policy permits
# (10 minutes) and the widest `target_margin_seconds`.

path "kv/data/payments/api-key" {
  capabilities     = ["read"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "660s"
}
