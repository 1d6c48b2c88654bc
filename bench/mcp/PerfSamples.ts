/**
 * What processes do while they are on a processor: samples of Linux's `perf`, which, other than V8's own profiler, leaves a
 * process alone while it waits for one. V8 writes what its compiled functions are called to `/tmp/perf-PID.map`.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process"
import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs"

/** One function of a stack; `url` is empty for what is not JavaScript. `tier` is V8's sign of how it was compiled. */
export interface Frame {
  readonly name: string
  readonly url: string
  readonly line: number
  readonly column: number
  readonly tier: string
  readonly isKernel: boolean
}

/** One sample, the innermost function first. `atUs` is of the monotonic clock. */
export interface Sample {
  readonly atUs: number
  /** Of the thread that runs JavaScript; the others compile, collect garbage and wait for files. */
  readonly isMain: boolean
  readonly frames: ReadonlyArray<Frame>
}

/** Whether `perf` may watch processes of this user. */
export const isAvailable = (): boolean =>
  spawnSync("perf", ["record", "-e", "cpu-clock", "-o", "/dev/null", "true"], { stdio: "ignore" }).status === 0

/** Samples a process into a file, from when the promise is fulfilled until the function that it gives has done its work. */
export const record = async (pid: number, file: string): Promise<() => Promise<void>> => {
  const rate = ["-e", "cpu-clock", "-F", String(SAMPLES_PER_SECOND), "-g", "-k", "CLOCK_MONOTONIC"]
  const child = spawn("perf", ["record", ...rate, "-p", String(pid), "-o", file], { stdio: "ignore" })
  while (child.exitCode === null && !isWatching(child.pid)) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  return () => {
    const done = ended(child)
    child.kill("SIGINT")
    return done
  }
}

/** It has opened its counters. */
const isWatching = (pid: number | undefined): boolean => {
  try {
    const folder = `/proc/${pid}/fd`
    return readdirSync(folder).some((name) => readlinkSync(`${folder}/${name}`).includes("perf_event"))
  } catch {
    return false
  }
}

/** The samples of a file. */
export const read = async (pid: number, file: string): Promise<ReadonlyArray<Sample>> => {
  const nameOf = readMap(readFileSync(`${MAPS}/perf-${pid}.map`, "utf8"))
  const fields = ["-F", "pid,tid,time,ip,sym,dso", "--ns", "--no-inline"]
  const text = await output("perf", ["script", "-i", file, ...fields])
  return text.split("\n\n").flatMap((block) => sampleOf(block.trim().split("\n"), nameOf) ?? [])
}

/** Removes what V8 wrote in all processes that ran a program of this folder. */
export const forget = (folder: string): void => {
  for (const name of readdirSync(MAPS).filter((name) => /^perf-\d+\.map$/.test(name))) {
    if (readFileSync(`${MAPS}/${name}`).includes(folder)) rmSync(`${MAPS}/${name}`)
  }
}

const sampleOf = (lines: ReadonlyArray<string>, nameOf: (at: number) => string): Sample | undefined => {
  const [, pid, tid, seconds] = /(\d+)\/(\d+)\s+(\d+\.\d+):/.exec(lines[0] ?? "") ?? []
  if (seconds === undefined) return undefined
  const frames = lines.slice(1).flatMap((line) => {
    const [, at = "", symbol = "", object = ""] = /^\s*([0-9a-f]+)\s+(.*)\s+\(([^()]*)\)$/.exec(line) ?? []
    return at === "" ? [] : [frameOf(object.includes("/perf-") ? nameOf(Number.parseInt(at, 16)) : symbol, object)]
  })
  return { atUs: Number(seconds) * 1e6, isMain: pid === tid, frames }
}

/** `JS:*name file:///a.js:1:2`, the star being the tier; anything else is native. */
const frameOf = (symbol: string, object: string): Frame => {
  const [, tier = "", name = "", url = "", line, column] = /^JS:([*+^~]?)'?(\S*) (.*):(\d+):(\d+)$/.exec(symbol) ?? []
  const isKernel = object.includes("kernel")
  if (url === "") return { name: symbol, url, line: 0, column: 0, tier, isKernel }
  return { name, url, line: Number(line), column: Number(column), tier, isKernel }
}

/** Addresses are used again when code is thrown away: the last function written there is meant. */
const readMap = (text: string): ((at: number) => string) => {
  const entries = text.split("\n").flatMap((line, order) => {
    const [start = "", size = "", ...name] = line.split(" ")
    const from = Number.parseInt(start, 16)
    return size === "" ? [] : [{ from, to: from + Number.parseInt(size, 16), name: name.join(" "), order }]
  })
  entries.sort((one, other) => one.from - other.from || one.order - other.order)
  return (at) => {
    let [low, high] = [0, entries.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((entries[middle]?.from ?? 0) <= at) low = middle + 1
      else high = middle
    }
    const around = entries.slice(Math.max(0, low - OVERLAPS_MAX), low).filter(({ to }) => at < to)
    return around.reduce((latest, entry) => (entry.order > latest.order ? entry : latest), NOTHING).name
  }
}

const output = (program: string, args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(program, args, { maxBuffer: OUTPUT_BYTES_MAX }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error)
    )
  })

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once("exit", () => resolve())
  })

const MAPS = "/tmp"
const NOTHING = { name: "", order: -1 }
const POLL_MS = 50
const OVERLAPS_MAX = 64
const SAMPLES_PER_SECOND = 1999
const OUTPUT_BYTES_MAX = 1 << 29
