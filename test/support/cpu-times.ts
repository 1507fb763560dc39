/**
 * Before all tests: with FABRA_TEST_CPU, the name of a file, a line is added to it behind each file of tests with the processor time that went by for it,
 * in this process and in those that it started and saw end. Unlike its duration it does not depend on what else the machine does.
 */
import { afterAll } from 'bun:test'
import { appendFileSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

const report = process.env['FABRA_TEST_CPU']
/** Linux counts in hundredths of a second. */
const TICKS_PER_SECOND = 100

if (report !== undefined) {
  let before = 0
  afterAll(() => {
    const now = ticks()
    appendFileSync(report, `${JSON.stringify({ file: relative(process.cwd(), Bun.main), seconds: (now - before) / TICKS_PER_SECOND })}\n`)
    before = now
  })
}

/** Of this process and its children, for users' code and for the kernel. */
function ticks(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  // The second field is the program's name, which may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
}
