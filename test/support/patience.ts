/**
 * How long a computation in a request may take in tests that are not about this. A second, as users have it by default, a machine with more to do
 * does not always have.
 */
export const REQUEST_TIMEOUT_MS = 20_000
export const PATIENT = { FABRA_REQUEST_TIMEOUT: `${REQUEST_TIMEOUT_MS}ms` } as const
