/**
 * How long a computation in a request may take in tests that are not about this. A second, as users have it by default, a machine with more to do
 * does not always have.
 */
export const REQUEST_TIMEOUT_MS = 20_000
export const PATIENT = { FABRA_REQUEST_TIMEOUT: `${REQUEST_TIMEOUT_MS}ms` } as const

/** Of claims of keys between processes: half a second passes on such a machine before a claim is kept up, or answered. */
export const PATIENT_CLAIMS = { claimMs: REQUEST_TIMEOUT_MS, patienceMs: REQUEST_TIMEOUT_MS, seenMs: REQUEST_TIMEOUT_MS } as const

/** Of reads and writes of Redis, which have half a second and two. */
export const PATIENT_REDIS = { readTimeoutMs: REQUEST_TIMEOUT_MS, writeTimeoutMs: REQUEST_TIMEOUT_MS } as const

/** Of history, in place of the online store: an answer later than 900 ms counts as none otherwise. */
export const PATIENT_HISTORY = { waitMs: REQUEST_TIMEOUT_MS, readMs: REQUEST_TIMEOUT_MS } as const
