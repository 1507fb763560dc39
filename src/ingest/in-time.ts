import { FabraError } from '../errors.ts'

/** @param deadlineAt By `performance.now()`. @throws FabraError store_unavailable at the deadline; what comes of the work then is nobody's. */
export async function inTime<T>(work: Promise<T>, deadlineAt: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new FabraError('store_unavailable', 'The stores did not answer in time.')),
    Math.max(0, deadlineAt - performance.now()),
  )
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
