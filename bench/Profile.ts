/**
 * Where a process spends its processor, by stage of a packet's way: V8's sampling profiler, each sample given to the
 * innermost function whose file says what it is for.
 */
import { writeFileSync } from "node:fs"
import { type Profiler, Session } from "node:inspector/promises"

/** Microseconds by stage. */
export type Stages = Readonly<Record<string, number>>

/** Runs something and counts what the processor does meanwhile; not one inside the other. */
export type During = <A>(run: () => Promise<A>) => Promise<A>

/** Writes to the path, as JSON, the `Stages` of everything run so far, after each; without a path it only runs things. */
export const make = (path: string | undefined): During => {
  if (path === undefined) return (run) => run()
  const sums: Record<string, number> = {}
  return async (run) => {
    const session = new Session()
    session.connect()
    await session.post("Profiler.enable")
    await session.post("Profiler.setSamplingInterval", { interval: SAMPLE_US })
    await session.post("Profiler.start")
    const result = await run()
    const { profile } = await session.post("Profiler.stop")
    for (const [stage, us] of Object.entries(attribute(profile, STAGES))) sums[stage] = (sums[stage] ?? 0) + us
    writeFileSync(path, JSON.stringify(sums))
    session.disconnect()
    return result
  }
}

/** What functions are for: those whose file and name fit. */
export interface Stage {
  readonly stage: string
  readonly file: RegExp
  readonly name?: RegExp
}

/**
 * Gives each sample to the first stage that fits the innermost function for which any fits; what none fits is work for its
 * caller. Idle time is left out.
 */
export const attribute = (
  { nodes, samples = [], timeDeltas = [] }: Profiler.Profile,
  stages: ReadonlyArray<Stage>
): Stages => {
  const byNode = assign(nodes, [...OUTSIDE, ...stages])
  const sums: Record<string, number> = {}
  for (const [index, id] of samples.entries()) {
    const deltaUs = timeDeltas[index] ?? 0
    const stage = byNode.get(id) ?? ""
    if (stage !== IDLE) sums[stage] = (sums[stage] ?? 0) + deltaUs
  }
  return sums
}

const assign = (nodes: Profiler.Profile["nodes"], stages: ReadonlyArray<Stage>): ReadonlyMap<number, string> => {
  const assigned = new Map<number, string>()
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const visit = (node: Profiler.ProfileNode, parent: string): void => {
    const { functionName, url } = node.callFrame
    const own = stages.find(({ file, name }) => file.test(url) && (name === undefined || name.test(functionName)))
    const stage = own?.stage ?? parent
    assigned.set(node.id, stage)
    for (const child of node.children ?? []) {
      const found = byId.get(child)
      if (found !== undefined) visit(found, stage)
    }
  }
  const [root] = nodes
  if (root !== undefined) visit(root, NATIVE)
  return assigned
}

const IDLE = "idle"
const NATIVE = "Node and kernel"
/** What V8 calls the time that no function has. */
const OUTSIDE: ReadonlyArray<Stage> = [
  { stage: IDLE, file: /^$/, name: /^\(idle\)$/ },
  { stage: "garbage collection", file: /^$/, name: /^\(garbage collector\)$/ },
  { stage: NATIVE, file: /^$/, name: /^\(program\)$/ }
]
/** Finer than the 1 ms of V8, and still cheap: a packet takes some 20 µs. */
const SAMPLE_US = 200
/** Of a packet's way. */
const STAGES: ReadonlyArray<Stage> = [
  { stage: "seal", file: /core\/crypto\/NativeCrypto/, name: /seal/ },
  { stage: "open", file: /core\/crypto\/NativeCrypto/, name: /open/ },
  { stage: "keys and signatures", file: /core\/crypto\/NativeCrypto/ },
  { stage: "CRC", file: /Crc32/ },
  { stage: "encode and decode", file: /protocol\/wire\// },
  { stage: "tunnel", file: /protocol\/tunnel\/|nat\// },
  { stage: "connection step", file: /protocol\/stream\// },
  { stage: "receive", file: /^node:(internal\/)?dgram/, name: /onMessage/ },
  { stage: "send", file: /^node:(internal\/)?dgram/ },
  { stage: "send", file: /NodeUdpEndpoint/, name: /send/ },
  { stage: "receive", file: /NodeUdpEndpoint/ },
  { stage: "registry", file: /actors\/registry\/|protocol\/registry\/|NodeTlsClient|^node:_?(tls|net)/ },
  { stage: "actors", file: /\/actors\/|core\/actor\/|\/effect\/|\/api\// },
  { stage: "the program", file: /\/bench\// }
]
