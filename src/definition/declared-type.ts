/**
 * Types as authors write them. A list or dict may say what it holds: `list[string]`, `dict[string, float]`, `list[list[int]]`; Python's names
 * (`list[str]`) mean the same. What it holds is then checked in every value, and columns of files have it as their own type.
 */
import type { DeclaredType, FeatureColumn, ValueType } from './model.ts'

export const VALUE_TYPES: readonly ValueType[] = ['int', 'float', 'string', 'bool', 'timestamp', 'list', 'dict', 'json']
const PYTHON_NAMES: Readonly<Record<string, ValueType>> = { str: 'string', datetime: 'timestamp', any: 'json' }
/** How deep lists and dicts may be declared. */
const MAX_DEPTH = 8
const SPACE = /\s+/g

/** What a list or dict holds; null where that is not declared. */
export function elementOf(type: DeclaredType): DeclaredType | null {
  if (type.startsWith('list[')) return type.slice('list['.length, -1) as DeclaredType
  return type.startsWith('dict[') ? (type.slice('dict[string, '.length, -1) as DeclaredType) : null
}

export function baseType(type: DeclaredType): ValueType {
  if (type.startsWith('list[')) return 'list'
  return type.startsWith('dict[') ? 'dict' : (type as ValueType)
}

/** The whole type of a column; a SQL feature's may not be known yet. */
export function declaredType(column: FeatureColumn): DeclaredType | null {
  return column.element ?? column.type
}

/** Whether every part of it is declared, down to values that are neither lists nor dicts. */
export function isWholeType(type: DeclaredType): boolean {
  const element = elementOf(type)
  return element === null ? !['list', 'dict', 'json'].includes(type) : isWholeType(element)
}

/** @returns the type as it is kept, with one spelling; null where it is none. */
export function readDeclaredType(given: unknown, depth = 0): DeclaredType | null {
  if (typeof given !== 'string' || depth > MAX_DEPTH) return null
  const text = given.replace(SPACE, '')
  const plain = VALUE_TYPES.find((type) => type === text)
  if (plain !== undefined) return plain
  // Alone they are no types of ours: `type: "str"` gets a hint instead.
  if (depth > 0 && Object.hasOwn(PYTHON_NAMES, text.toLowerCase())) return PYTHON_NAMES[text.toLowerCase()] ?? null
  // Null is a value of every type.
  const [, held] = depth > 0 ? (/^Optional\[(.+)\]$/.exec(text) ?? []) : []
  if (held !== undefined) return readDeclaredType(held, depth + 1)
  const [, kind, inner = ''] = /^(list|dict)\[(.+)\]$/.exec(text) ?? []
  if (kind === undefined) return null
  if (kind === 'list') return wrapped(readDeclaredType(inner, depth + 1), (element) => `list[${element}]`)
  const [, value = ''] = /^(?:string|str),(.+)$/.exec(inner) ?? []
  return wrapped(readDeclaredType(value, depth + 1), (element) => `dict[string, ${element}]`)
}

function wrapped(element: DeclaredType | null, write: (element: DeclaredType) => DeclaredType): DeclaredType | null {
  return element === null ? null : write(element)
}
