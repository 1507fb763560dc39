import { setDefaultTimeout } from 'bun:test'

// A test may have to build the executable or create a PostgreSQL cluster first.
setDefaultTimeout(60_000)
