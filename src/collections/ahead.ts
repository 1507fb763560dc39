/** The same items, the next one always asked for already: whoever finds them works while those before are used. */
export async function* ahead<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
  const rest = items[Symbol.asyncIterator]()
  let next = rest.next()
  try {
    for (;;) {
      const { done, value } = await next
      if (done === true) return
      next = rest.next()
      // Heard of when its turn has come.
      next.catch(() => undefined)
      yield value
    }
  } finally {
    await rest.return?.()
  }
}
