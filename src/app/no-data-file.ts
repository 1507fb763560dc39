import { FabraError } from '../errors.ts'

export function noDataFile(): FabraError {
  return new FabraError('not_found', 'There is no data file to copy: history is in PostgreSQL.', {
    hint: 'Dump the schema "fabra" and those of your tables: pg_dump --schema=fabra.',
  })
}
