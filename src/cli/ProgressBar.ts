/** One line on a terminal that shows how far a transfer is; nothing where standard error is no terminal, or with `--json`. */
import { Clock, Effect, Stdio } from "effect"
import type { Progress } from "../actors/services/client/SendFile.ts"
import type { Input } from "./Command.ts"
import * as Render from "./Render.ts"
import * as Terminal from "./Terminal.ts"

/** Shows progress. `clear` takes the line away, so that what is printed next stands alone. */
export interface ProgressBar {
  readonly show: (progress: Progress) => Effect.Effect<void>
  readonly clear: Effect.Effect<void>
}

/** A bar for one transfer. */
export const make = Effect.fnUntraced(function* (
  input: Pick<Input, "json">
): Effect.fn.Return<ProgressBar, never, Stdio.Stdio> {
  const stdio = yield* Stdio.Stdio
  const isShown = !input.json && (yield* stdio.stderrIsTerminal)
  if (!isShown) return { show: () => Effect.void, clear: Effect.void }
  const print = (text: string) => Effect.provideService(Terminal.printError(text), Stdio.Stdio, stdio)
  let startedAtMs = 0
  let startedBytes = 0
  let shownAtMs = Number.NEGATIVE_INFINITY
  let stage = ""
  return {
    show: (progress) =>
      Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
        if (progress.stage !== stage) {
          stage = progress.stage
          startedAtMs = nowMs
          startedBytes = progress.doneBytes
        }
        const isLast = progress.doneBytes >= progress.totalBytes
        if (!isLast && nowMs - shownAtMs < REDRAW_MS) return Effect.void
        shownAtMs = nowMs
        return print(`\r\u001b[K${line(progress, progress.doneBytes - startedBytes, nowMs - startedAtMs)}`)
      }),
    clear: Effect.suspend(() => (stage === "" ? Effect.void : print("\r\u001b[K")))
  }
})

/** `report.pdf  [=====>    ]  52%  31.2 MB of 60.0 MB  12.1 MB/s  0:02`. */
export const line = ({ doneBytes, name, stage, totalBytes }: Progress, sinceBytes: number, sinceMs: number): string => {
  const part = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes)
  const filled = Math.floor(part * BAR_CHARACTERS)
  const bar = `[${"=".repeat(filled)}${filled < BAR_CHARACTERS ? ">" : ""}${" ".repeat(Math.max(0, BAR_CHARACTERS - filled - 1))}]`
  const perSecond = sinceMs <= 0 ? 0 : (sinceBytes * 1000) / sinceMs
  const left = perSecond <= 0 ? "" : `  ${clock((totalBytes - doneBytes) / perSecond)}`
  const doing = stage === "reading" ? "  reading" : ""
  const percent = `${Math.floor(part * 100)}%`.padStart(4)
  const amount = `${Render.size(doneBytes)} of ${Render.size(totalBytes)}`
  return `${shortened(name)}  ${bar} ${percent}  ${amount}  ${Render.size(Math.round(perSecond))}/s${left}${doing}`
}

const clock = (seconds: number): string => {
  const whole = Math.min(359_999, Math.ceil(seconds))
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const shown = parts[0] === 0 ? parts.slice(1) : parts
  return shown.map((value, index) => (index === 0 ? String(value) : String(value).padStart(2, "0"))).join(":")
}

/** What a peer calls a file may hold anything a terminal would obey. */
const shortened = (name: string): string => {
  const plain = name.replaceAll(/[\p{C}]/gu, "?")
  return plain.length <= NAME_CHARACTERS ? plain : `…${plain.slice(1 - NAME_CHARACTERS)}`
}

const BAR_CHARACTERS = 24
const NAME_CHARACTERS = 28
const REDRAW_MS = 100
