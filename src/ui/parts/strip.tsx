import type { ComponentChildren } from 'preact'
import { roughly } from '../core/words.ts'
import { linePath } from './charts.tsx'
import { underCursor, useCursor } from './cursor.tsx'

/** One figure of a strip. */
export function Figure(props: {
  label: string
  children: ComponentChildren
  sub?: ComponentChildren
  below?: ComponentChildren
  read?: string | null
}) {
  return (
    <div class={`cell${props.read ? ' on' : ''}`}>
      <div class="label">
        <span>{props.label}</span>
        <span class="read">{props.read}</span>
      </div>
      <div class="fig">{props.children}</div>
      {props.sub !== undefined && <div class="sub">{props.sub}</div>}
      {props.below}
    </div>
  )
}

/** A figure with its last hour below it, which shows the moment under the cursor. */
export function Trend(props: {
  label: string
  children: ComponentChildren
  sub?: ComponentChildren
  series: readonly (number | null)[]
  spanMs: number
  write: (value: number) => string
  from?: number | null
}) {
  const cursor = useCursor()
  const under = underCursor(props.series, cursor, props.spanMs)
  const width = Math.max(1, props.series.length - 1)
  const chart = (
    <svg class={`sp${cursor === null ? '' : ' on'}`} data-time viewBox={`0 0 ${width} 32`} preserveAspectRatio="none" aria-hidden="true">
      <path class="base" d={`M0 31.5H${width}`} />
      <path class="ln" d={linePath(props.series, 32, props.from ?? 0)} />
      <path class="cross" d="M0 0v32" transform={`translate(${(cursor ?? 0) * width} 0)`} />
    </svg>
  )
  return (
    <Figure label={props.label} sub={props.sub} below={chart} read={under && `${props.write(under.value)} · ${roughly(under.agoMs)} ago`}>
      {props.children}
    </Figure>
  )
}
