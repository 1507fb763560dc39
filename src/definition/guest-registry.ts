/** One registry from what all guests found: definitions of one language may name those of another. */
import { type Draft, define, type FeatureFunction } from './draft.ts'
import type { ClockUse, Problem, Registry } from './model.ts'
import { readRawDraft } from './raw-draft.ts'
import { buildRegistry } from './registry.ts'
import type { ReadDraft, SentDefinitions, SentDraft, SentFunction } from './sent-drafts.ts'
import { ShownValue } from './show.ts'

/** What a guest needs to know of its own definitions. */
export interface OwnDefinitions {
  /** Feature → the id of the draft whose function computes it. */
  readonly functions: ReadonlyMap<string, number>
  /** The names that its definitions go by. */
  readonly names: readonly (readonly [id: number, name: string])[]
}

export interface GuestRegistry {
  readonly registry: Registry
  readonly problems: readonly Problem[]
  /** For each guest, in the order given. */
  readonly guests: readonly OwnDefinitions[]
}

interface Revived {
  readonly objects: ReadonlyMap<number, object & { readonly name: string }>
  /** What stands for each function here, where it cannot be called. */
  readonly standIns: ReadonlyMap<FeatureFunction, { readonly id: number; readonly sent: SentFunction }>
  readonly exported: { name: string; value: unknown; file: string; doc: string | null }[]
}

export function buildFromGuests(guests: readonly SentDefinitions[]): GuestRegistry {
  const revived = guests.map(revive)
  const sentOf = (fn: FeatureFunction) => revived.map(({ standIns }) => standIns.get(fn)).find((found) => found !== undefined)?.sent
  const code = (fn: FeatureFunction) => sentOf(fn)?.code ?? ''
  const clock = (fn: FeatureFunction): readonly ClockUse[] => sentOf(fn)?.clock ?? []
  const built = buildRegistry(
    revived.flatMap((guest) => guest.exported),
    code,
    clock,
  )
  const own = revived.map(({ objects, standIns }): OwnDefinitions => {
    const functions = [...built.functions].flatMap(([name, fn]) => {
      const found = standIns.get(fn)
      return found ? [[name, found.id] as const] : []
    })
    const names = [...objects].flatMap(([id, object]) => (object.name === '' ? [] : [[id, object.name] as const]))
    return { functions: new Map(functions), names }
  })
  return { registry: built.registry, problems: built.problems, guests: own }
}

function revive({ drafts, exported }: SentDefinitions): Revived {
  const objects = new Map<number, object & { readonly name: string }>()
  const standIns = new Map<FeatureFunction, { id: number; sent: SentFunction }>()
  const byId = new Map(drafts.map((sent) => [sent.id, sent] as const))
  const object = (id: number): (object & { readonly name: string }) | undefined => {
    const known = objects.get(id)
    const sent = byId.get(id)
    if (known !== undefined || sent === undefined) return known
    // One that names itself finds nothing.
    byId.delete(id)
    const made = define(reviveDraft(sent))
    objects.set(id, made)
    return made
  }
  const nameOf = (id: number): string => {
    const sent = drafts.find((one) => one.id === id)
    return sent === undefined ? '' : (nameOfDraft(sent) ?? '')
  }
  const reviveDraft = (sent: SentDraft): Draft => {
    const compute = sent.function === null ? undefined : standIn()
    if (compute !== undefined && sent.function !== null) standIns.set(compute, { id: sent.id, sent: sent.function })
    if ('read' in sent) return reviveRead(sent.read, object, compute ?? null)
    return readRawDraft(sent, { referred: object, nameOf, compute })
  }
  for (const { id } of drafts) object(id)
  const ownNames = () =>
    drafts.flatMap((sent) => ('read' in sent ? [] : [{ name: sent.name ?? '', file: sent.file, draft: sent.id, doc: sent.doc }]))
  return {
    objects,
    standIns,
    exported: (exported ?? ownNames()).map(({ name, file, draft, doc }) => ({
      name,
      file,
      doc,
      value: draft === null ? null : objects.get(draft),
    })),
  }
}

function reviveRead(read: ReadDraft, object: (id: number) => unknown, compute: FeatureFunction | null): Draft {
  const value = (sent: unknown): unknown => {
    if (typeof sent !== 'object' || sent === null) return sent
    if ('$ref' in sent) return object(Number(sent.$ref))
    const { $shown } = sent as { $shown?: unknown }
    return typeof $shown === 'string' ? new ShownValue($shown) : undefined
  }
  if (read.kind === 'feature_set') return { ...read, features: read.features.map(value) }
  if (read.kind !== 'feature') return read
  return { ...read, compute, entity: value(read.entity), uses: read.uses.map(value) }
}

function standIn(): FeatureFunction {
  return () => {
    throw new Error('A function is called by the guest that sent it.')
  }
}

function nameOfDraft(sent: SentDraft): string | null {
  if ('read' in sent) return sent.read.name
  const given = sent.options['name']
  return typeof given === 'string' ? given : sent.name
}
