/** Two classes at most, and each of so many rows at least. */
const FEWEST_OF_CLASS = 5

/**
 * How well one column alone tells the label: the chance that of two rows with different labels it orders them right (the area under the ROC
 * curve, either way round); for texts, the share of rows whose label is that of most rows with the same text.
 * @returns null: the label has not two classes, or there are too few rows.
 */
export function separation(values: readonly unknown[], labels: readonly unknown[], fewest: number): number | null {
  const rows = values.flatMap((value, i) => {
    const label = labels[i]
    return value === null || value === undefined || label === null || label === undefined ? [] : [{ value, label: String(label) }]
  })
  const classes = [...new Set(rows.map(({ label }) => label))]
  const [one, other] = classes
  if (rows.length < fewest || classes.length !== 2 || one === undefined || other === undefined) return null
  const [ones, others] = [rows.filter(({ label }) => label === one), rows.filter(({ label }) => label === other)]
  if (Math.min(ones.length, others.length) < FEWEST_OF_CLASS) return null
  const number = (value: unknown) => (typeof value === 'boolean' ? Number(value) : typeof value === 'number' ? value : Number.NaN)
  if (rows.every(({ value }) => !Number.isNaN(number(value))))
    return areaUnder(
      ones.map(({ value }) => number(value)),
      others.map(({ value }) => number(value)),
    )
  return majority(rows.map(({ value, label }) => ({ value: JSON.stringify(value), label })))
}

function areaUnder(ones: readonly number[], others: readonly number[]): number {
  const all = [...ones.map((value) => ({ value, isOne: true })), ...others.map((value) => ({ value, isOne: false }))].sort(
    (a, b) => a.value - b.value,
  )
  let ranks = 0
  for (let from = 0; from < all.length; ) {
    let to = from
    while (to < all.length && all[to]?.value === all[from]?.value) to++
    const ties = all.slice(from, to).filter(({ isOne }) => isOne).length
    // Equal values share the middle of their ranks.
    ranks += ties * ((from + 1 + to) / 2)
    from = to
  }
  const area = (ranks - (ones.length * (ones.length + 1)) / 2) / (ones.length * others.length)
  return Math.max(area, 1 - area)
}

/** A text of its own for every row tells nothing: rows whose text no other has count as wrong. */
function majority(rows: readonly { readonly value: string | undefined; readonly label: string }[]): number {
  let right = 0
  for (const group of Map.groupBy(rows, ({ value }) => value).values()) {
    if (group.length < 2) continue
    right += Math.max(...[...Map.groupBy(group, ({ label }) => label).values()].map(({ length }) => length))
  }
  const largest = Math.max(...[...Map.groupBy(rows, ({ label }) => label).values()].map(({ length }) => length))
  // No better than always saying the more frequent one.
  return right <= largest ? 0.5 : right / rows.length
}
