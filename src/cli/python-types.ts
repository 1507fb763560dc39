/** A module of Python by which type checkers know the features of a project: clients of it take no other names, and tell what type each value has. */

export interface Catalogue {
  readonly features: readonly CatalogueFeature[]
  readonly entities: readonly { readonly name: string; readonly key: Readonly<Record<string, string>> }[]
  readonly featureSets: readonly { readonly name: string }[]
  readonly sources: readonly { readonly name: string }[]
}

interface CatalogueFeature {
  readonly name: string
  readonly entity: string
  readonly kind: string
  readonly type?: string | null
  readonly columns?: Readonly<Record<string, string | null>>
  readonly inputs: Readonly<Record<string, string>>
}

const PLAIN: Readonly<Record<string, string>> = {
  int: 'int',
  float: 'float',
  string: 'str',
  bool: 'bool',
  timestamp: 'datetime',
  list: 'List[Any]',
  dict: 'Dict[str, Any]',
}
const KEYS: Readonly<Record<string, string>> = { int: 'int', uuid: 'Union[str, UUID]' }

const HEAD = `# Written by "fabra types --python" from the definitions. Write it again when they change.
# mypy: disable-error-code="override, misc"
# pyright: reportIncompatibleMethodOverride=false, reportInconsistentOverload=false
"""The clients of fabra, with the names and types of this project's features."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Dict, List, Literal, Mapping, Optional, Sequence, TypedDict, Union, overload
from uuid import UUID

from fabra import client as _fabra
`

/** What a value is in Python. */
export function pythonType(declared: string | null | undefined): string {
  const text = declared ?? 'json'
  const list = /^list\[(.+)\]$/.exec(text)?.[1]
  if (list !== undefined) return `List[${optional(list)}]`
  const dict = /^dict\[string, (.+)\]$/.exec(text)?.[1]
  return dict === undefined ? (PLAIN[text] ?? 'Any') : `Dict[str, ${optional(dict)}]`
}

function optional(declared: string): string {
  const type = pythonType(declared)
  return type === 'Any' ? type : `Optional[${type}]`
}

export function pythonTypes(catalogue: Catalogue): string {
  const { features, entities, featureSets, sources } = catalogue
  const names = features.flatMap(({ name, columns }) => [name, ...Object.keys(columns ?? {}).map((column) => `${name}.${column}`)])
  const sets = featureSets.map(({ name }) => name)
  const aliases = [
    `FeatureName = ${literal(names)}`,
    `FeatureSetName = ${literal(sets)}`,
    `EntityName = ${literal(entities.map(({ name }) => name))}`,
    `SourceName = ${literal(sources.map(({ name }) => name))}`,
    'AnyName = Union[FeatureName, FeatureSetName]',
  ]
  const shapes = [
    ...entities.map(({ name, key }) => dict(`${name}Key`, key, (type) => KEYS[type] ?? 'str')),
    ...features.filter(takesInputs).map(({ name, inputs }) => dict(inputsName(name), inputs, optional)),
    ...features.flatMap(({ name, columns }) => (columns ? [dict(valueName(name), columns, (type) => optional(type ?? 'json'))] : [])),
  ]
  const classes = (['Client', 'AsyncClient'] as const).map((name) => clientClass(name, catalogue))
  const atRuntime = ['else:', '    Client = _fabra.Client', '    AsyncClient = _fabra.AsyncClient']
  return [
    HEAD,
    ...aliases,
    '',
    ...shapes.flatMap((shape) => ['', shape]),
    '',
    'if TYPE_CHECKING:',
    classes.join('\n'),
    ...atRuntime,
    '',
  ].join('\n')
}

function takesInputs({ inputs }: CatalogueFeature): boolean {
  return Object.keys(inputs).length > 0
}

function clientClass(name: 'Client' | 'AsyncClient', { features, entities }: Catalogue): string {
  const start = name === 'AsyncClient' ? 'async def' : 'def'
  const reads = features.flatMap((feature) => readsOf(feature, entities))
  const overloads = reads.map((read) => `${reads.length > 1 ? '        @overload\n' : ''}        ${start} feature(${read}: ...`)
  if (reads.length > 1) overloads.push(`        ${start} feature(self, name: str, key: Any, **options: Any) -> Any: ...`)
  const pushed = features.map((feature) => feature.name)
  return `
    class ${name}(_fabra.${name}):
${overloads.join('\n')}

        ${start} features(
            self,
            features: Union[AnyName, Sequence[AnyName], None] = None,
            rows: Any = (),
            *,
            feature_set: Optional[FeatureSetName] = None,
            max_age: Optional[str] = None,
            arrow: Optional[bool] = None,
            timeout: Optional[float] = None,
        ) -> _fabra.Features: ...

        ${start} training_set(
            self, labels: Any, features: Union[AnyName, Sequence[AnyName]], **options: Any
        ) -> _fabra.TrainingSet: ...

        ${start} push(
            self, feature: ${literal(pushed)}, rows: Any, *, progress: Optional[bool] = None, timeout: Optional[float] = 120.0
        ) -> _fabra.WriteReceipt: ...

        ${start} append(
            self,
            source: SourceName,
            rows: Any,
            *,
            idempotency_key: Optional[str] = None,
            progress: Optional[bool] = None,
            timeout: Optional[float] = 120.0,
        ) -> _fabra.WriteReceipt: ...

        ${start} forget(self, entity: EntityName, key: Any, *, timeout: Optional[float] = 120.0) -> Dict[str, Any]: ...
`
}

/** The feature as a whole, then each of its columns. */
function readsOf(feature: CatalogueFeature, entities: Catalogue['entities']): string[] {
  const columns = Object.entries(feature.columns ?? {})
  const whole: [string, string] = [feature.name, columns.length > 0 ? valueName(feature.name) : pythonType(feature.type)]
  const parts = columns.map(([column, type]): [string, string] => [`${feature.name}.${column}`, pythonType(type)])
  const key = Object.entries(entities.find(({ name }) => name === feature.entity)?.key ?? {})
  const [first] = key
  const alone = key.length === 1 && first ? `Union[${KEYS[first[1]] ?? 'str'}, ${feature.entity}Key]` : `${feature.entity}Key`
  const inputs = takesInputs(feature) ? `inputs: ${inputsName(feature.name)}` : 'inputs: Optional[Mapping[str, Any]] = None'
  return [whole, ...parts].map(
    ([name, type]) =>
      `self, name: Literal[${JSON.stringify(name)}], key: ${alone}, *, ${inputs}, max_age: Optional[str] = None, timeout: Optional[float] = None) -> _fabra.FeatureValue[${type}]`,
  )
}

function literal(names: readonly string[]): string {
  // Of nothing there is no literal; nobody can give a value of this type.
  if (names.length === 0) return 'Literal["(there is none)"]'
  return `Literal[\n${names.map((name) => `    ${JSON.stringify(name)},\n`).join('')}]`
}

/** Made by a call: columns may be called as words of the language are. */
function dict<T>(name: string, fields: Readonly<Record<string, T>>, typeOf: (type: T) => string): string {
  const parts = Object.entries(fields).map(([field, type]) => `${JSON.stringify(field)}: ${typeOf(type)}`)
  return `${name} = TypedDict("${name}", {${parts.join(', ')}})`
}

function valueName(feature: string): string {
  return `${camel(feature)}Value`
}

function inputsName(feature: string): string {
  return `${camel(feature)}Inputs`
}

function camel(name: string): string {
  return name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
