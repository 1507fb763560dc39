/** Names of features, of their columns and inputs. */
export const FEATURE_NAME = /^[a-z][a-z0-9_]*$/

/** Names stand in indexes beside keys, which take only so much. */
export const MAX_NAME_LENGTH = 200

/** Columns of tables that Fabra itself must name. Names that begin with `__fabra` are its own. */
export const COLUMN_NAME = /^(?!__fabra)[A-Za-z_][A-Za-z0-9_]*$/

/** Tables as queries write them: `transactions`, `shop.orders`. */
export const TABLE_NAME = /^(?!__fabra)[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*){0,2}$/

/** Words with a meaning of their own in requests, pushes and training sets. */
export const RESERVED: readonly string[] = ['entity_id', 'max_age', 'value', 'event_timestamp']

export const FEATURE_NAME_RULE = 'Start with a lower-case letter and use lower-case letters, digits and "_"'

/** `transactionCount1h` → `transaction_count1h`: a name that would do, to put into a hint. */
export function lawfulName(name: string): string {
  const snake = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^[_0-9]+|_+$/g, '')
  return snake === '' || RESERVED.includes(snake) ? 'my_feature' : snake
}
