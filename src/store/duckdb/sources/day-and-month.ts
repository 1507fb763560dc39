/** Times that are not written as ISO has them: whether the day or the month comes first is their author's to say. Pure. */

const SHAPE = /^\s*(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:([T ]+)(\d{1,2}):(\d{2})(:\d{2})?([.,]\d+)?(\s*[AaPp][Mm])?)?\s*$/
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const

/** @param format What the source says of the column; null: nothing. @returns both readings of a text with day and month, and how to choose. */
export function dayMonthProblem(text: string, format: string | null): { readonly message: string; readonly hint: string } | undefined {
  const shown = JSON.stringify(text.slice(0, 60))
  if (format !== null) {
    return {
      message: `${shown} is not written as the source's format says, ${JSON.stringify(format)}.`,
      hint: 'Mend the row, or the format: every row of the column is written in one way.',
    }
  }
  const match = SHAPE.exec(text)
  if (!match) return undefined
  const [, first = '', separator = '', second = '', year = '', blank = '', hour, , seconds = '', fraction = '', half = ''] = match
  const clock =
    hour === undefined
      ? ''
      : `${blank}${half === '' ? '%H' : '%I'}:%M${seconds && ':%S'}${fraction && `${fraction[0]}%f`}${half.replace(/[apm]+/i, '%p')}`
  const whole = year.length === 4 ? '%Y' : '%y'
  const readings = [
    { day: Number(first), month: Number(second), format: ['%d', '%m', whole].join(separator) + clock },
    { day: Number(second), month: Number(first), format: ['%m', '%d', whole].join(separator) + clock },
  ].filter(({ day, month }) => day >= 1 && day <= 31 && month >= 1 && month <= 12)
  const [one, other] = readings
  if (!one) return undefined
  const said = ({ day, month, format: how }: typeof one) => `${day} ${MONTHS[month - 1]} (format: ${JSON.stringify(how)})`
  return {
    message: other
      ? `${shown} can be read in two ways, as ${said(one)} or as ${said(other)}.`
      : `${shown} is not an ISO time; it reads as ${said(one)}.`,
    hint: `Say on the source how its times are written: format: ${JSON.stringify(one.format)}. Or write them as 2026-01-02T03:04:05Z.`,
  }
}
