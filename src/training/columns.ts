import { declaredType } from '../definition/declared-type.ts'
import type { DeclaredType, Feature, FeatureRef } from '../definition/model.ts'
import { FabraError, suggest } from '../errors.ts'
import type { TableColumn } from '../store/ports/source-engine.ts'
import type { OutputColumn, OutputFeature } from '../store/ports/training-store.ts'
import type { TrainingOptions } from './options.ts'

/** Features by their names, each followed by what else is told of it. */
export function outputColumns(refs: readonly FeatureRef[], features: readonly Feature[], options: TrainingOptions): OutputColumn[] {
  const columns: OutputColumn[] = refs.map(({ feature, column, name }) => ({
    name,
    content: 'value',
    feature: features.indexOf(feature),
    column,
  }))
  features.forEach(({ name }, feature) => {
    if (options.withStatus) columns.push({ name: `${name}__status`, content: 'status', feature, column: 0 })
    if (options.withEventTimestamp) columns.push({ name: `${name}__event_timestamp`, content: 'event_timestamp', feature, column: 0 })
  })
  return columns
}

/**
 * Every column the features need is there, and none is called like a column that is added.
 * @throws FabraError invalid_labels, column_conflict
 */
export function checkColumnNames(
  labels: readonly TableColumn[],
  added: readonly OutputColumn[],
  features: readonly Feature[],
  timestamp: string,
): void {
  const names = labels.map((column) => column.name)
  const addedNames = new Set(added.map((column) => column.name.toLowerCase()))
  const clash = names.find((name) => addedNames.has(name.toLowerCase()))
  if (clash !== undefined) {
    throw new FabraError('column_conflict', `The labels have a column "${clash}", which is also a feature asked for.`, {
      hint: 'Rename the column of the labels, or leave the feature out.',
    })
  }
  if (!names.includes(timestamp)) {
    throw new FabraError('invalid_labels', `The labels have no column "${timestamp}", the time from which each row looks.`, {
      hint: `Name the column of times with --timestamp (in a request: timestamp). ${suggest(timestamp, names)}`,
    })
  }
  for (const { name, inputs } of features) {
    const missing = Object.keys(inputs).find((input) => !names.includes(input))
    if (missing !== undefined) {
      throw new FabraError('invalid_labels', `The labels have no column "${missing}", an input of the feature "${name}".`, {
        hint: suggest(missing, names),
      })
    }
  }
}

/** Types of the columns that hold values, by their names. */
export function columnTypes(features: readonly OutputFeature[], columns: readonly OutputColumn[]): ReadonlyMap<string, DeclaredType> {
  return new Map(
    columns.flatMap(({ name, content, feature, column }) => {
      const declared = features[feature]?.feature.columns[column]
      return content === 'value' && declared ? [[name, declaredType(declared) ?? 'json'] as const] : []
    }),
  )
}
