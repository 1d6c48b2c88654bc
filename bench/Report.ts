/**
 * What was measured, kept: `bench/results/latest.json` holds the last run of every group with its machine and commit, and
 * the tables of `docs/benchmarks.md` are written from it.
 */
import { spawnSync } from "node:child_process"
import { availableParallelism, cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { Effect, FileSystem, Schema } from "effect"
import * as Figure from "./Figure.ts"

const Measured = Schema.Struct({
  at: Schema.String,
  machine: Schema.String,
  node: Schema.String,
  commit: Schema.String,
  /** Processes that wanted to run in the minute before. Others than ours there make the figures worth less. */
  loadBefore: Schema.Number,
  figures: Schema.Array(Figure.Figure)
})
const Results = Schema.Record(Schema.String, Measured)
const codec = Schema.fromJsonString(Schema.toCodecJson(Results))

/** Replaces a group's figures; the other groups keep theirs. `loadBefore` is `load()` before the first group began. */
export const keep = Effect.fnUntraced(function* (
  group: string,
  loadBefore: number,
  figures: ReadonlyArray<Figure.Figure>
) {
  const fileSystem = yield* FileSystem.FileSystem
  const measured = {
    at: new Date().toISOString(),
    machine: MACHINE,
    node: process.version,
    commit: commit(),
    loadBefore
  }
  const results = { ...(yield* kept), [group]: { ...measured, figures } }
  yield* fileSystem.makeDirectory(fileURLToPath(new URL("results", import.meta.url)), { recursive: true })
  yield* fileSystem.writeFileString(LATEST, `${yield* Schema.encodeEffect(codec)(results)}\n`)
})

/** Writes what is kept between the page's `<!-- figures: GROUP -->` and `<!-- end -->`. */
export const writePage = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const results = yield* kept
  const page = yield* fileSystem.readFileString(PAGE)
  const written = page.replaceAll(/(<!-- figures: (\w+) -->\n)[\s\S]*?(<!-- end -->)/g, (whole, begin, group, end) => {
    const measured = results[group]
    if (measured === undefined) return whole
    const { at, commit, figures, loadBefore, machine, node } = measured
    const others =
      loadBefore < IDLE_LOAD ? "idle before" : `load ${loadBefore.toFixed(0)} before: other work ran beside it`
    const source = `_${machine}, Node ${node.slice(1)}, ${at.slice(0, 10)}, commit ${commit}, ${others}._`
    return `${begin}\n${Figure.table(figures)}\n\n${source}\n\n${end}`
  })
  yield* fileSystem.writeFileString(PAGE, written)
})

/** How many processes want to run, on average over a minute. */
export const load = (): number => loadavg()[0] ?? 0

const kept = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  if (!(yield* fileSystem.exists(LATEST))) return {}
  const text = yield* fileSystem.readFileString(LATEST)
  // An older format is as good as none.
  return yield* Effect.orElseSucceed(Schema.decodeEffect(codec)(text), () => ({}))
})

const commit = (): string => {
  const git = (...args: ReadonlyArray<string>) => spawnSync("git", args, { cwd: ROOT, encoding: "utf8" }).stdout?.trim()
  const hash = git("rev-parse", "--short", "HEAD") || "unknown"
  return git("status", "--porcelain", "--", "src", "package-lock.json") ? `${hash} with changes` : hash
}

/** A build a moment ago is not other work. */
const IDLE_LOAD = 1
const MACHINE = `${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown processor"}`
const ROOT = fileURLToPath(new URL("..", import.meta.url))
const LATEST = fileURLToPath(new URL("results/latest.json", import.meta.url))
const PAGE = fileURLToPath(new URL("../docs/benchmarks.md", import.meta.url))
