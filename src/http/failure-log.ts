/** Failures of one kind can come ten thousand times a second, and then to write a line for each costs more than to answer them. */
import type { ErrorCode } from '../errors.ts'
import type { LogFields, Logger } from '../observability/logger.ts'

/** Of one code; what comes beyond is counted, and told of by the next line. */
const LINES_A_SECOND = 20

interface Second {
  beganAt: number
  lines: number
  omitted: number
}

const seconds = new WeakMap<Logger, Map<ErrorCode, Second>>()

/** @param fields Asked for only where the line is written. */
export function logFailure(log: Logger, code: ErrorCode, message: string, fields: () => LogFields, now = performance.now()): void {
  const byCode = seconds.get(log) ?? new Map<ErrorCode, Second>()
  seconds.set(log, byCode)
  let second = byCode.get(code)
  if (second === undefined || now - second.beganAt >= 1000) {
    second = { beganAt: now, lines: 0, omitted: second?.omitted ?? 0 }
    byCode.set(code, second)
  }
  if (second.lines >= LINES_A_SECOND) {
    second.omitted++
    return
  }
  second.lines++
  log.warn(message, second.omitted === 0 ? fields() : { ...fields(), further: second.omitted })
  second.omitted = 0
}
