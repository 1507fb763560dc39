import { isHelpOpen } from '../core/keys.ts'
import { Dialog } from './dialog.tsx'

const KEYS: readonly [keys: readonly string[], what: string][] = [
  [['⌘K', 'Ctrl K', '/'], 'find anything'],
  [['j', 'k'], 'walk rows'],
  [['enter'], 'open the row'],
  [['←', '→'], 'move the time, on an entity; with shift a day'],
  [['p'], 'pause, in Live'],
  [['t'], 'light or dark'],
  [['?'], 'these keys'],
  [['esc'], 'close'],
]

export function Help() {
  return (
    <Dialog label="keys" isOpen={isHelpOpen}>
      <div class="pad">
        <div class="sec">
          <h2>Keys</h2>
          <button
            class="right"
            onClick={() => {
              isHelpOpen.value = false
            }}
          >
            close
          </button>
        </div>
        <dl class="kv">
          {KEYS.map(([keys, what]) => (
            <div class="pair" key={what}>
              <dt>
                {keys.map((one) => (
                  <kbd key={one}>{one}</kbd>
                ))}
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Dialog>
  )
}
