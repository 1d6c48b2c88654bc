/** What a finished task is worth to its executor, in points of the reference's polo score (node §6.5). */
import type { Times } from "../wire/TaskFrame.ts"

/** At least 1. Time spent working counts logarithmically; waiting in the queue takes up to 60 % off. */
export const points = ({ cpuMs, idleMs, stagedMs }: Times): number => {
  const cpu = Math.log2(1 + cpuMs / MINUTE_MS)
  const idle = share(idleMs / MINUTE_MS)
  const staged = share(stagedMs / (10 * MINUTE_MS))
  return Math.max(1, Math.trunc((1 + cpu) * Math.max(1 - idle - staged, WORST) + 0.5))
}

/** What the executor claims, no longer than the task is old: nobody has worked on it before it was there. */
export const believed = ({ cpuMs, idleMs, stagedMs }: Times, ageMs: number): Times => ({
  cpuMs: Math.min(Math.max(0, cpuMs), Math.max(0, ageMs)),
  idleMs: Math.max(0, idleMs),
  stagedMs: Math.max(0, stagedMs)
})

const share = (part: number): number => Math.max(0, Math.min(WEIGHT, part * WEIGHT))

const MINUTE_MS = 60_000
const WEIGHT = 0.3
const WORST = 0.4
