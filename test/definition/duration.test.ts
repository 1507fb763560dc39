import { expect, test } from 'bun:test'
import { formatDuration, looksLikeCron, parseDuration, readDuration } from '../../src/definition/duration.ts'

const SECOND = 1_000_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

test.each([
  ['500ms', SECOND / 2],
  ['30s', 30 * SECOND],
  ['5m', 5 * MINUTE],
  ['1h', HOUR],
  ['1.5h', 90 * MINUTE],
  ['1h30m', 90 * MINUTE],
  ['1h 30m', 90 * MINUTE],
  [' 1d ', DAY],
  ['7d', 7 * DAY],
  ['2w', 14 * DAY],
  ['0s', 0],
  [{ minutes: 5 }, 5 * MINUTE],
  [{ hours: 1, minutes: 30 }, 90 * MINUTE],
  [{ weeks: 1, days: 1, seconds: 1, milliseconds: 1 }, 8 * DAY + SECOND + 1000],
  [{ minutes: 5, hours: undefined }, 5 * MINUTE],
  [{ seconds: 0.1 }, SECOND / 10],
])('%p is a duration', (given, micros) => {
  expect(parseDuration(given)).toBe(micros)
})

test.each([
  ['5x', '"5x" is not a duration'],
  ['', '"" is not a duration'],
  ['m', '"m" is not a duration'],
  ['5', '"5" is not a duration'],
  ['5M', '"5M" is not a duration'],
  ['5 minutes', '"5 minutes" is not a duration'],
  ['1e3s', '"1e3s" is not a duration'],
  ['∞', '"∞" is not a duration'],
  ['-5m', '"-5m" is negative'],
  ['99999999d', '"99999999d" is longer than a hundred years'],
  [5, '5 has no unit'],
  [5n, '5 has no unit'],
  [Number.NaN, 'NaN is not a duration'],
  [Number.POSITIVE_INFINITY, 'Infinity is not a duration'],
  [null, 'null is not a duration'],
  [undefined, 'undefined is not a duration'],
  [true, 'true is not a duration'],
  [['5m'], '["5m"] is not a duration'],
  [{}, '{} has no parts'],
  [{ minute: 5 }, 'has a part "minute"'],
  [{ __proto__: null, constructor: 5 }, 'has a part "constructor"'],
  [{ minutes: -5 }, '{ minutes: -5 } is negative'],
  [{ minutes: Number.NaN }, 'has minutes: NaN'],
  [{ minutes: '5' }, 'has minutes: "5"'],
])('%p is no duration, and it is said why', (given, wrong) => {
  const result = readDuration(given)
  expect(result.ok ? 'ok' : result.wrong).toStartWith(wrong)
  expect(parseDuration(given)).toBeUndefined()
})

test('a duration is shown in the largest whole units', () => {
  expect([0, 12, 1500, 90 * MINUTE, 7 * DAY, DAY + SECOND, -HOUR].map(formatDuration)).toEqual([
    '0s',
    '12µs',
    '1ms 500µs',
    '1h 30m',
    '7d',
    '1d 1s',
    '-1h',
  ])
})

test('a text of five or six cron fields is taken for a cron string, anything else is not', () => {
  for (const text of ['* * * * *', '0 6 * * 1-5', '*/5 * * * *', '0 0 6 * * *', '0 6 * JAN MON', ' 0 6 L * * ', '0 6 * * 5#2'])
    expect(looksLikeCron(text)).toBe(true)
  for (const text of ['', '5m', '* * * *', '* * * * * * *', '5 minutes and a bit more!', '@daily']) expect(looksLikeCron(text)).toBe(false)
})
