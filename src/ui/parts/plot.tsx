/** A line over time with three words of scale. All plots of a group have one time axis, and show the moment under the cursor together. */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type uPlot from 'uplot'
import { theme } from '../core/theme.ts'
import { roughly } from '../core/words.ts'

export type Series = readonly (number | null)[]

export interface PlotProps {
  readonly label: string
  /** What stands beside the label: what the lines are. */
  readonly legend?: string
  /** Milliseconds of the first step, and of each. */
  readonly from: number
  readonly stepMs: number
  readonly line: Series
  /** Below and above the line: `[p10, p90]`. */
  readonly band?: readonly [Series, Series] | undefined
  /** Columns instead of a line, in the colour of errors. */
  readonly isErrors?: boolean
  /** Between what is known a line is drawn: of things that happen now and then. */
  readonly isSparse?: boolean
  /** A dashed line across. */
  readonly limit?: number | null
  /** When versions began. */
  readonly rules: readonly number[]
  readonly write: (value: number) => string
  readonly height: number
  /** Plots of one key move their cursors together. */
  readonly group: string
  /** Highest value that the scale has at least. */
  readonly atLeast?: number
}

export function Plot(props: PlotProps) {
  const { box, under } = useChart(props)
  const top = topOf(props)
  const index = under ?? lastKnown(props.line)
  const value = index === null ? null : (props.line[index] ?? null)
  const ago = under === null ? '' : ` · ${roughly((props.line.length - 1 - under) * props.stepMs)} ago`
  return (
    <div class={`plot${under === null ? '' : ' on'}`}>
      <div class="cap">
        <span>{props.label}</span>
        {props.legend && <span class="key">{props.legend}</span>}
        <span class="read mono">{value === null ? '–' : props.write(value) + ago}</span>
      </div>
      <div class="ys" aria-hidden="true">
        <span>{props.write(top)}</span>
        {props.height > 60 && <span>{props.write(top / 2)}</span>}
        <span>0</span>
      </div>
      <div ref={box} class="canvas" style={{ height: `${props.height}px` }} role="img" aria-label={`${props.label} over time`} />
    </div>
  )
}

/** The chart is made once for a theme; new figures go into the one that is there, so that the cursor stays where it is. */
function useChart(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null)
  const under = useSignal<number | null>(null)
  const latest = useRef(props)
  latest.current = props
  const chart = useRef<uPlot | null>(null)
  const onCursor = (index: number | null) => {
    under.value = index
  }
  useEffect(() => begin(box, chart, latest, onCursor), [theme.value])
  useEffect(() => chart.current?.setData(dataOf(props)), [props.line, props.limit])
  return { box, under: under.value }
}

interface Ref<T> {
  current: T
}

/** @returns what takes it away. */
function begin(
  box: Ref<HTMLDivElement | null>,
  chart: Ref<uPlot | null>,
  latest: Ref<PlotProps>,
  onCursor: (index: number | null) => void,
) {
  let isGone = false
  const fit = () => chart.current?.setSize({ width: box.current?.clientWidth ?? 0, height: latest.current.height })
  void import('uplot').then(({ default: Chart }) => {
    const element = box.current
    if (element && !isGone) chart.current = new Chart(optionsOf(latest, element.clientWidth, onCursor), dataOf(latest.current), element)
  })
  addEventListener('resize', fit)
  return () => {
    isGone = true
    removeEventListener('resize', fit)
    chart.current?.destroy()
    chart.current = null
  }
}

function lastKnown(line: Series): number | null {
  const index = line.findLastIndex((value) => value !== null)
  return index < 0 ? null : index
}

/** A round number above all that is shown. */
function topOf({ line, band, limit, atLeast = 0 }: PlotProps): number {
  const known = [...line, ...(band?.[1] ?? []), limit ?? null, atLeast].filter((value) => value !== null)
  const most = Math.max(...known)
  if (most <= 0) return 1
  const size = 10 ** Math.floor(Math.log10(most))
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * size >= most) ?? 10) * size
}

function dataOf({ line, band, from, stepMs }: PlotProps): uPlot.AlignedData {
  const times = line.map((_, i) => (from + (i + 0.5) * stepMs) / 1000)
  const lists = band ? [...band, line] : [line]
  return [times, ...lists.map((list) => [...list])] as uPlot.AlignedData
}

/** The colour that a token has in the present theme. */
function token(name: string): string {
  const probe = document.createElement('i')
  probe.style.color = `var(--${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

function optionsOf(latest: Ref<PlotProps>, width: number, onCursor: (index: number | null) => void): uPlot.Options {
  const { height, group, band, isErrors, isSparse = false } = latest.current
  const none = { stroke: 'transparent', width: 0, points: { show: false } }
  const points = { show: true, size: 4, fill: token('ink'), filter: () => alone(latest.current) }
  const line = { stroke: token('ink'), width: 1.25, points, spanGaps: isSparse }
  const ends = ({ from, stepMs, line: of }: PlotProps): [number, number] => [from / 1000, (from + of.length * stepMs) / 1000]
  return {
    width,
    height,
    padding: [0, 0, 0, 0],
    legend: { show: false },
    scales: { x: { time: true, range: () => ends(latest.current) }, y: { range: () => [0, topOf(latest.current)] } },
    axes: [{ show: false }, { show: false }],
    series: band ? [{}, none, none, line] : [{}, isErrors ? { ...none, paths: () => null } : line],
    bands: band ? [{ series: [2, 1], fill: token('band') }] : [],
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false }, sync: { key: group } },
    hooks: {
      drawClear: [(plot) => kept(plot, () => drawGrid(plot, latest.current))],
      draw: [(plot) => kept(plot, () => drawOver(plot, latest.current))],
      setCursor: [({ cursor }) => onCursor(cursor.left === undefined || cursor.left < 0 ? null : (cursor.idx ?? null))],
    },
  }
}

/** The chart remembers which colours it has set, and does not look whether others have changed them. */
function kept({ ctx }: uPlot, draw: () => void): void {
  ctx.save()
  draw()
  ctx.restore()
}

/** What has no neighbour would not be seen as a line. */
function alone({ line, isSparse }: PlotProps): number[] {
  const known = line.flatMap((value, i) => (value === null ? [] : [i]))
  const isAlone = (i: number) => (isSparse ? known.length === 1 : (line[i - 1] ?? null) === null && (line[i + 1] ?? null) === null)
  return known.filter(isAlone)
}

function drawGrid({ ctx, bbox }: uPlot, { height }: PlotProps): void {
  ctx.strokeStyle = token('line')
  ctx.lineWidth = devicePixelRatio
  for (const part of height > 60 ? [0, 0.5, 1] : [0, 1]) {
    const y = Math.round(bbox.top + part * (bbox.height - 1)) + 0.5
    stroke(ctx, [bbox.left, y], [bbox.left + bbox.width, y])
  }
}

function drawOver(plot: uPlot, { rules, limit, isErrors, line, from, stepMs }: PlotProps): void {
  const { ctx, bbox } = plot
  const x = (ms: number) => Math.round(plot.valToPos(ms / 1000, 'x', true)) + 0.5
  const y = (value: number) => Math.round(plot.valToPos(value, 'y', true)) + 0.5
  ctx.lineWidth = devicePixelRatio
  if (isErrors) {
    ctx.fillStyle = token('error')
    const width = Math.max(2, (bbox.width / line.length) * 0.8)
    line.forEach((value, i) => {
      if (value) ctx.fillRect(x(from + (i + 0.5) * stepMs) - width / 2, y(value), width, y(0) - y(value))
    })
  }
  ctx.strokeStyle = token('ink')
  for (const at of rules) stroke(ctx, [x(at), bbox.top], [x(at), bbox.top + bbox.height])
  if (limit === null || limit === undefined) return
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
  stroke(ctx, [bbox.left, y(limit)], [bbox.left + bbox.width, y(limit)])
  ctx.setLineDash([])
}

function stroke(ctx: CanvasRenderingContext2D, [x0, y0]: readonly [number, number], [x1, y1]: readonly [number, number]): void {
  ctx.beginPath()
  ctx.moveTo(x0, y0)
  ctx.lineTo(x1, y1)
  ctx.stroke()
}

/** The time axis that a group of plots shares. */
export function TimeAxis({ spanMs }: { spanMs: number }) {
  const [unit, size] = spanMs <= 7_200_000 ? ['m', 60_000] : spanMs <= 172_800_000 ? ['h', 3_600_000] : (['d', 86_400_000] as const)
  return (
    <div class="plot" aria-hidden="true">
      <div class="xs">
        {[1, 0.75, 0.5, 0.25].map((part) => (
          <span key={part}>{`−${Number(((spanMs * part) / Number(size)).toFixed(1))} ${unit}`}</span>
        ))}
        <span>now</span>
      </div>
    </div>
  )
}
