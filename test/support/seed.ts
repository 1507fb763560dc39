/** Before all tests: with FABRA_TEST_SEED, every random case is the same in each run. */
import fc from 'fast-check'

const seed = process.env['FABRA_TEST_SEED']
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) })
