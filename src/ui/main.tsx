/** The page at /ui: a head, and one room at a time. */
import './style/index.css'
import { signal } from '@preact/signals'
import { type ComponentType, render } from 'preact'
import { useEffect } from 'preact/hooks'
import type { Me } from '../http/wire.ts'
import { followLinks, place } from './core/address.ts'
import { ask, Failure } from './core/ask.ts'
import { askAhead, forgetData } from './core/data.ts'
import { listenToKeys } from './core/keys.ts'
import { setNow } from './core/now.ts'
import { beginPulse } from './core/pulse.ts'
import { isLocked, key, me } from './core/session.ts'
import { Toast } from './parts/copy.tsx'
import { Head, ROOMS } from './parts/head.tsx'
import { Help } from './parts/help.tsx'
import { FailureNote, Note } from './parts/note.tsx'
import { Palette } from './parts/palette.tsx'
import { ApiPage } from './rooms/api/api.tsx'
import { Catalogue } from './rooms/catalogue/catalogue.tsx'
import { EntityPage } from './rooms/entity/entity.tsx'
import { FeaturePage } from './rooms/feature/feature.tsx'
import { LineagePage } from './rooms/lineage.tsx'
import { LivePage } from './rooms/live/live.tsx'
import { Overview } from './rooms/overview/overview.tsx'
import { RunsPage } from './rooms/runs.tsx'
import { SignIn } from './rooms/sign-in.tsx'
import { TrainingPage } from './rooms/training/training.tsx'

const PAGES: Readonly<Record<string, ComponentType>> = {
  '': Overview,
  catalogue: Catalogue,
  features: FeaturePage,
  entities: EntityPage,
  training: TrainingPage,
  live: LivePage,
  api: ApiPage,
  runs: RunsPage,
  lineage: LineagePage,
}

const isOpen = signal(false)
let endPulse: () => void = () => undefined
const failure = signal<Failure | null>(null)

function begin(who: Me): void {
  me.value = who
  setNow(who.now)
  isLocked.value = false
  // The page of a key is asked for when this is known; it does not queue behind what the head shows.
  if (place.value.parts[0] === 'entities') askAhead('/v1/entities')
  isOpen.value = true
  endPulse()
  endPulse = beginPulse()
}

async function introduce(): Promise<void> {
  failure.value = null
  try {
    begin(await ask<Me>('/v1/me'))
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    // A key of an earlier visit that is no longer taken is not sent again.
    if (error.status === 401) {
      sessionStorage.removeItem('fabra.key')
      key.value = null
    } else failure.value = error
  }
}

function App() {
  if (isLocked.value) {
    endPulse()
    forgetData()
    return <SignIn onOpen={begin} />
  }
  if (failure.value && failure.value.status !== 404) {
    return (
      <main id="main">
        <h1 class="hide">fabra</h1>
        <FailureNote of={failure.value} again={() => void introduce()} />
      </main>
    )
  }
  if (!isOpen.value && !failure.value) return <main id="main" aria-busy="true" />
  return (
    <>
      <a class="hide skip" href="#main">
        To the content
      </a>
      <Head />
      <Room />
      <Palette />
      <Help />
      <Toast />
    </>
  )
}

function Room() {
  const [room = '', name] = place.value.parts
  const Page = PAGES[room]
  const title = name ?? ROOMS.find(([one]) => one === room)?.[1] ?? 'fabra'
  useEffect(() => {
    document.title = `${title} · fabra`
  }, [title])
  return (
    <main id="main">
      {Page ? (
        <Page />
      ) : (
        <>
          <div class="head">
            <h1>Nothing is here</h1>
          </div>
          <Note title={`There is no page "${place.value.parts.join('/')}".`}>The rooms are above; ⌘K finds everything.</Note>
        </>
      )}
    </main>
  )
}

followLinks()
listenToKeys()
const root = document.getElementById('root')
if (root) render(<App />, root)
void introduce()
