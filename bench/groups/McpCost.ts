/**
 * Where the microseconds of a tool call go, process by process: what the kernel counts while nobody watches, and, of a second
 * run that `perf` watches, in which shares it belongs to what.
 */
import { SourceMap } from "node:module"
import { fileURLToPath } from "node:url"
import { Console, Effect, FileSystem, Schema } from "effect"
import * as Children from "../Children.ts"
import type { Figure } from "../Figure.ts"
import * as Costs from "../mcp/Costs.ts"
import * as PerfSamples from "../mcp/PerfSamples.ts"
import type { Stage } from "../Profile.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const measured = yield* costs([])
  const names = Object.keys(measured.pids)
  const watched = PerfSamples.isAvailable() ? yield* watch : undefined
  if (watched === undefined) yield* Console.log("without `perf`, nobody knows what the time is spent on")
  return [
    latency(measured),
    ...names.flatMap((name) => [
      ...kernel(measured, name),
      ...(watched === undefined ? [] : stages(measured, watched, name))
    ])
  ]
})

/** The same calls while `perf` watches: per process and window, the share of each stage. */
const watch = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })
  const program = `${directory}/program`
  yield* Effect.addFinalizer(() => Effect.sync(() => PerfSamples.forget(program)))
  yield* Children.run([process.execPath, BUILD, "--mapped", program])
  const { pids, windows } = yield* costs([directory], {
    NODE_OPTIONS: "--perf-basic-prof --interpreted-frames-native-stack",
    PILOTCTL_PROGRAM: `${program}/pilotctl.js`
  })
  const fileOf = yield* sources(program)
  const stageOf = makeStageOf(fileOf)
  const shares = Object.entries(pids).map(([name, pid]) =>
    Effect.map(
      Effect.promise(() => PerfSamples.read(pid, Costs.samplesFile(directory, pid))),
      (samples) => [name, windows.map((window) => sharesOf(samples, window, stageOf))] as const
    )
  )
  return new Map(yield* Effect.all(shares))
})

/** Runs the calls to their end: each process writes its profile when it ends, and all have ended before the program does. */
const costs = Effect.fnUntraced(function* (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) {
  // V8 writes a log of its own where a process that perf watches was started.
  const child = yield* Children.start([process.execPath, Costs.PROGRAM, ...args], env, args[0])
  const report = yield* Effect.flatMap(Children.message(child), Schema.decodeUnknownEffect(Costs.Report))
  yield* Children.ended(child)
  return report
}, Effect.scoped)

type Windows = Costs.Report["windows"]
/** The file that a function of the bundle came from. */
const sources = Effect.fnUntraced(function* (program: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const names = (yield* fileSystem.readDirectory(program)).filter((name) => name.endsWith(".map"))
  const texts = yield* Effect.all(names.map((name) => fileSystem.readFileString(`${program}/${name}`)))
  const maps = new Map(names.map((name, index) => [name, new SourceMap(JSON.parse(texts[index] ?? ""))]))
  return ({ column, line, url }: PerfSamples.Frame): string => {
    const found = maps.get(`${url.split("/").at(-1)}.map`)?.findEntry(line - 1, column - 1)
    return found !== undefined && "originalSource" in found ? found.originalSource : url
  }
})

type StageOf = (sample: PerfSamples.Sample) => string

/** The stage of the innermost function that belongs to one; system calls and garbage are stages wherever they are asked for. */
const makeStageOf = (fileOf: (frame: PerfSamples.Frame) => string): StageOf => {
  const known = new Map<string, string | undefined>()
  const find = (frame: PerfSamples.Frame): string | undefined => {
    const file = fileOf(frame)
    return STAGES.find((stage) => stage.file.test(file))?.stage
  }
  return ({ frames, isMain }) => {
    if (!isMain) return OTHER_THREADS
    if (frames.some(({ name, url }) => url === "" && GARBAGE.test(name))) return "garbage collection"
    if (frames[0]?.isKernel) return "the kernel"
    for (const frame of frames) {
      if (frame.url === "") continue
      const key = `${frame.url}:${frame.line}:${frame.column}`
      if (!known.has(key)) known.set(key, find(frame))
      const stage = known.get(key)
      if (stage !== undefined) return stage
    }
    return "event loop of Node"
  }
}

type Shares = Readonly<Record<string, number>>

const sharesOf = (samples: ReadonlyArray<PerfSamples.Sample>, window: Windows[number], stageOf: StageOf): Shares => {
  const within = samples.filter(({ atUs }) => atUs >= window.fromUs && atUs < window.toUs)
  const shares: Record<string, number> = {}
  const add = (stage: string) => {
    shares[stage] = (shares[stage] ?? 0) + 1 / within.length
  }
  for (const sample of within) {
    add(stageOf(sample))
    const script = sample.isMain ? sample.frames.find(({ url }) => url !== "") : undefined
    if (script !== undefined && "~^".includes(script.tier)) add(UNOPTIMISED)
  }
  return shares
}

const latency = ({ bare, windows }: Costs.Report): Figure => {
  const row = { name: "a call, p50", unit: "ms" }
  const [ours = Number.NaN, ...others] = windows.map(({ p50Ms }) => p50Ms ?? Number.NaN)
  return { ...row, ours, ...ceiling(bare[0]?.p50Ms), peers: beside(windows, others) }
}

/** What a process does in the kernel's eyes, per call. */
const kernel = ({ bare, windows }: Costs.Report, name: string): ReadonlyArray<Figure> => {
  const of = (from: Windows, value: keyof Windows[number]["processes"][string]) =>
    from.map(({ calls, processes }) => (processes[name]?.[value] ?? Number.NaN) / calls)
  const row = (text: string, unit: string, value: Parameters<typeof of>[1]): Figure => {
    const [ours = Number.NaN, ...others] = of(windows, value)
    return { name: `${name}: ${text}`, unit, ours, ...ceiling(of(bare, value)[0]), peers: beside(windows, others) }
  }
  return [row("on a processor", "µs", "runningUs"), row("times it was given one", "", "turns")]
}

/** What the time on a processor is spent on, most of it first; what is little is left out. */
const stages = ({ windows }: Costs.Report, watched: ReadonlyMap<string, ReadonlyArray<Shares>>, name: string) => {
  const shares = watched.get(name) ?? []
  const perCall = (stage: string) =>
    windows.map(({ calls, processes }, index) => {
      const share = shares[index]?.[stage] ?? 0
      return (share * (processes[name]?.runningUs ?? Number.NaN)) / calls
    })
  const rows = Object.entries(shares[0] ?? {})
    .filter(([stage, share]) => share >= SHARE_MIN && stage !== UNOPTIMISED)
    .toSorted(([, one], [, other]) => other - one)
  return [...rows.map(([stage]) => stage), UNOPTIMISED].map((stage): Figure => {
    const [ours = Number.NaN, ...others] = perCall(stage)
    return { name: `${name}: · ${stage}`, unit: "µs", ours, peers: beside(windows, others) }
  })
}

/** The values of all windows but the first, by name, as far as there are any. */
const beside = (windows: Windows, values: ReadonlyArray<number>): Readonly<Record<string, number>> =>
  Object.fromEntries(
    windows.slice(1).flatMap(({ name }, index) => {
      const value = values[index]
      return value === undefined || Number.isNaN(value) ? [] : [[name, value]]
    })
  )

const ceiling = (value: number | undefined): Pick<Figure, "ceiling"> =>
  value === undefined ? {} : { ceiling: { value, of: "a program that only passes bytes on" } }

/** Microseconds of every process and stage. */
export const group: Group = {
  name: "mcpcost",
  about: "where the microseconds of a tool call go, process by process, with 1 call in flight",
  seconds: 75,
  run: measure
}

const BUILD = fileURLToPath(new URL("../../scripts/build.mjs", import.meta.url))
/** What is less of a process stands nowhere: 3 %. */
const SHARE_MIN = 0.03
const OTHER_THREADS = "compilers, collectors and files, on other threads"
const UNOPTIMISED = "of all that, in code that V8 has not optimised"
const GARBAGE = /Heap::(CollectGarbage|Scavenge)|MarkCompact|Scavenger/
const STAGES: ReadonlyArray<Stage> = [
  { stage: "datagrams of Node", file: /^node:(internal\/)?dgram/ },
  {
    stage: "pipes and sockets of Node",
    file: /^node:(net|events|stream|internal\/(streams|stream_base|event|js_stream))/
  },
  { stage: "cryptography of Node", file: /^node:(crypto|internal\/crypto)/ },
  { stage: "files of Node", file: /^node:(fs|internal\/fs)/ },
  { stage: "timers and queues of Node", file: /^node:/ },
  { stage: "Effect", file: /node_modules\/(effect|@effect)\// },
  {
    stage: "messages: lines, JSON, rules, record",
    file: /protocol\/(mcp|relay\/(?!Relay|Frame))|AuditLog|CallLedger|CallGate|PeerUsage|Breaker|PinGuard|EgressGuard/
  },
  { stage: "relay session", file: /relay\/(Relay|Frame)|RelayEnd|FrameStream|data\/Deque/ },
  {
    stage: "packets: seal, open, tunnel, stream",
    file: /core\/crypto|Crc32|protocol\/(wire\/(?!Ipc)|stream|tunnel)|\/nat\//
  },
  { stage: "local socket", file: /actors\/ipc|protocol\/wire\/Ipc|core\/net\/(?!NodeUdp)|ProcessStdio/ },
  { stage: "actors of the node", file: /core\/actor|core\/data|actors\/node|NodeUdpEndpoint/ },
  { stage: "shim and keeper", file: /actors\/mcp|\/cli\// }
]
