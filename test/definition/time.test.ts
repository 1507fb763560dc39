import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { formatTime, parseTime } from '../../src/definition/time.ts'
import { FabraError } from '../../src/errors.ts'

test.each([
  ['1970-01-01T00:00:00Z', 0],
  ['2026-01-02T03:04:05Z', 1_767_323_045_000_000],
  ['2026-01-02T03:04:05.123456Z', 1_767_323_045_123_456],
  ['2026-01-02T03:04:05.1Z', 1_767_323_045_100_000],
  ['2026-01-02T03:04:05.1234569Z', 1_767_323_045_123_456],
  ['2026-01-02t03:04:05z', 1_767_323_045_000_000],
  ['2026-01-02 03:04:05Z', 1_767_323_045_000_000],
  ['2026-01-02T03:04:05+00:00', 1_767_323_045_000_000],
  ['2026-01-02T05:04:05+02:00', 1_767_323_045_000_000],
  ['2026-01-01T21:34:05-05:30', 1_767_323_045_000_000],
  ['1969-12-31T23:59:59.999999Z', -1],
  ['2016-12-31T23:59:60Z', 1_483_228_800_000_000],
  ['2017-01-01T00:59:60.5+01:00', 1_483_228_800_500_000],
  ['2024-02-29T00:00:00Z', 1_709_164_800_000_000],
  ['2000-02-29T00:00:00Z', 951_782_400_000_000],
])('%s is read to the microsecond', (text, micros) => {
  expect(parseTime(text)).toBe(micros)
})

test.each(['2026-01-02', '2026-01-02T03:04:05', '2026-01-02 03:04', '2026-01-02T03:04:05.123456'])(
  '%s has no zone, and that is said',
  (text) => {
    expect(() => parseTime(text)).toThrow(`"${text}" has no time zone.`)
    expect(errorOf(text).hint).toContain('Z" for UTC')
  },
)

test.each([
  '',
  'now',
  '1767323045',
  '2026-13-01T00:00:00Z',
  '2026-00-01T00:00:00Z',
  '2026-02-29T00:00:00Z',
  '1900-02-29T00:00:00Z',
  '2026-04-31T00:00:00Z',
  '2026-01-02T24:00:00Z',
  '2026-01-02T03:60:00Z',
  '2026-01-02T03:04:61Z',
  '2026-01-02T03:04:60Z',
  '2026-01-02T03:04:05.Z',
  '2026-01-02T03:04:05,5Z',
  '2026-01-02T03:04:05+24:00',
  '2026-01-02T03:04:05+0200',
  '2026-01-02T03:04:05 Z',
  '2026-1-2T03:04:05Z',
  '26-01-02T03:04:05Z',
  '12026-01-02T03:04:05Z',
  '0001-01-01T00:00:00Z',
  '1600-01-01T00:00:00Z',
  '2300-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z',
])('%p is no time', (text) => {
  const error = errorOf(text)
  expect(error.code).toBe('invalid_time')
  expect(error.hint).toContain('RFC 3339')
})

test('every microsecond of the exact range comes back as it was', () => {
  const range = { min: -9_000_000_000_000_000, max: 9_000_000_000_000_000 }
  fc.assert(fc.property(fc.integer(range), (micros) => parseTime(formatTime(micros)) === micros))
})

test('times agree with the platform to the millisecond', () => {
  fc.assert(
    fc.property(fc.date({ min: new Date('1700-01-01'), max: new Date('2250-01-01'), noInvalidDate: true }), (date) => {
      expect(parseTime(date.toISOString())).toBe(date.getTime() * 1000)
    }),
  )
})

test('a time is written with six digits of fraction, or none', () => {
  expect(formatTime(1_767_323_045_000_000)).toBe('2026-01-02T03:04:05Z')
  expect(formatTime(1_767_323_045_000_001)).toBe('2026-01-02T03:04:05.000001Z')
  expect(formatTime(1_767_323_046_000_001)).toBe('2026-01-02T03:04:06.000001Z')
  expect(formatTime(1_767_323_045_120_000)).toBe('2026-01-02T03:04:05.120000Z')
  expect(formatTime(-1)).toBe('1969-12-31T23:59:59.999999Z')
})

function errorOf(text: string): FabraError {
  try {
    parseTime(text)
  } catch (error) {
    if (error instanceof FabraError) return error
  }
  throw new Error(`${text} was taken for a time`)
}
