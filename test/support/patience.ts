/**
 * How long a computation in a request may take in tests that are not about this. A second, as users have it by default, a machine with more to do
 * does not always have.
 */
export const REQUEST_TIMEOUT_MS = 20_000
export const PATIENT = { FABRA_REQUEST_TIMEOUT: `${REQUEST_TIMEOUT_MS}ms` } as const

/** Of claims of keys between processes: half a second passes on such a machine before a claim is kept up, or answered. */
export const PATIENT_CLAIMS = { claimMs: REQUEST_TIMEOUT_MS, patienceMs: REQUEST_TIMEOUT_MS, seenMs: REQUEST_TIMEOUT_MS } as const
