/**
 * What everything in one simulation shares: its time, its network, its chance, its trace and its checkers; and the
 * machines in it, each with a disk, a clock and cryptography of its own.
 */
import { Clock, Context, Deferred, Effect, Exit, Logger, Metric, Random, References, Scheduler, Scope } from "effect"
import type { Crypto } from "../core/crypto/Crypto.ts"
import { ClearText } from "./ClearText.ts"
import { HostClock } from "./HostClock.ts"
import * as MemoryDisk from "./MemoryDisk.ts"
import * as SeededCrypto from "./SeededCrypto.ts"
import * as SeededRandom from "./SeededRandom.ts"
import { SimDriver } from "./SimDriver.ts"
import { StreamLedger } from "./StreamLedger.ts"
import { Trace } from "./Trace.ts"
import type * as VirtualDatabases from "./VirtualDatabases.ts"
import { VirtualLan } from "./VirtualLan.ts"
import { type Access, type Host, type Segment, VirtualNetwork } from "./VirtualNetwork.ts"
import { VirtualTime } from "./VirtualTime.ts"
import { TcpTable } from "./VirtualTls.ts"
import { WebSocketTable } from "./VirtualWebSocket.ts"

/** What went wrong in which simulation. A defect: either the code under test is wrong, or the test never ends. */
export class SimulationFailed extends Error {
  override readonly name = "SimulationFailed"
  readonly seed: number
  readonly atMs: number

  constructor(seed: number, atMs: number, detail: string, trace: Trace) {
    const tail = trace.tail.map((line) => `    ${line}`).join("\n")
    super(`seed ${seed}, at ${atMs.toFixed(3)} ms: ${detail}\n  what happened last:\n${tail}`)
    this.seed = seed
    this.atMs = atMs
  }
}

/** Mutable; one for each simulation. */
export class SimWorld {
  readonly seed: number
  readonly time = new VirtualTime()
  readonly trace: Trace
  readonly network: VirtualNetwork
  readonly tcp: TcpTable
  readonly webSockets: WebSocketTable
  readonly lan: VirtualLan
  readonly driver: SimDriver
  readonly ledger: StreamLedger
  readonly clearText = new ClearText()
  /** `host:port` of every registry, in either family, and its machine's name. */
  readonly registries = new Map<string, string>()
  readonly #checks: Array<() => string | undefined> = []
  #nextCheckAtMs = 0

  constructor(seed: number) {
    this.seed = seed
    this.trace = new Trace(() => this.time.nowMs)
    this.network = new VirtualNetwork(this.time, SeededRandom.make(SeededRandom.derive(seed, "network")), this.trace)
    this.tcp = new TcpTable(this.network, SeededCrypto.make(`${seed} tls`))
    this.lan = new VirtualLan(this.network)
    this.webSockets = new WebSocketTable(this.network)
    this.driver = new SimDriver({ time: this.time, problem: (detail) => this.problem(detail) })
    this.ledger = new StreamLedger({
      violated: (detail) => this.violated(detail),
      written: (bytes) => this.clearText.written(bytes)
    })
    this.network.tap(({ bytes, sender }) => {
      const problem = this.clearText.problemWith(bytes)
      if (problem !== undefined) this.violated(`${problem}, sent by ${sender.name}`)
      this.#check()
    })
  }

  /** An error that can be replayed. */
  problem(detail: string): SimulationFailed {
    return new SimulationFailed(this.seed, this.time.nowMs, detail, this.trace)
  }

  /** A checker found something: the world ends. */
  violated(detail: string): void {
    this.driver.fail(this.problem(detail))
  }

  /** Adds a checker that runs every `CHECK_MS` of virtual time in which anything happens. */
  addCheck(check: () => string | undefined): void {
    this.#checks.push(check)
  }

  /** What every effect in the world runs with; `name` decides its random numbers. */
  services(name: string, clock = new HostClock()): Context.Context<never> {
    const random = SeededRandom.make(SeededRandom.derive(this.seed, `${name} random`))
    return Context.empty().pipe(
      Context.add(Clock.Clock, this.time.clock(clock)),
      Context.add(Scheduler.Scheduler, this.time),
      Context.add(Random.Random, SeededRandom.service(random)),
      Context.add(Metric.FiberRuntimeMetrics, this.time.census),
      Context.add(References.TracerEnabled, false),
      Context.add(Logger.CurrentLoggers, new Set([this.#logger(name)]))
    )
  }

  /** Logs are part of the trace. */
  #logger(name: string) {
    return Logger.make<unknown, void>(({ logLevel, message }) =>
      this.trace.record(`${name} ${logLevel}: ${text(message)}`)
    )
  }

  #check(): void {
    if (this.time.nowMs < this.#nextCheckAtMs) return
    this.#nextCheckAtMs = this.time.nowMs + CHECK_MS
    for (const check of this.#checks) {
      const problem = check()
      if (problem !== undefined) this.violated(problem)
    }
  }
}

/** One machine: what stays when it is switched off. */
export interface Machine {
  readonly world: SimWorld
  readonly name: string
  readonly host: Host
  readonly disk: MemoryDisk.MemoryDisk
  readonly databases: VirtualDatabases.Kept
  readonly crypto: Crypto["Service"]
  readonly clock: HostClock
  readonly services: Context.Context<never>
  readonly random: SeededRandom.SeededRandom
  /** Of its node, from one start to the next stop. */
  life: Life | undefined
  /** Its other processes: they outlive the node, not the power. */
  readonly processes: Set<Life>
}

/** What goes when it is switched off. */
export interface Life {
  readonly scope: Scope.Closeable
  /** Completed when it is killed: what its programs still do is seen by nobody. */
  readonly killed: Deferred.Deferred<void>
}

const makeLife = (): Life => ({ scope: Scope.makeUnsafe("sequential"), killed: Deferred.makeUnsafe() })

/** A machine that is off. */
export const makeMachine = (world: SimWorld, name: string, segment: Segment, access: Access): Machine => {
  const clock = new HostClock()
  return {
    world,
    name,
    host: world.network.addHost(name, segment, access),
    disk: new MemoryDisk.MemoryDisk(),
    databases: new Map(),
    crypto: SeededCrypto.make(`${world.seed} ${name}`),
    clock,
    services: world.services(name, clock),
    random: SeededRandom.make(SeededRandom.derive(world.seed, `${name} disk`)),
    life: undefined,
    processes: new Set()
  }
}

/** Starts a machine; `boot` runs in its life's scope. When it fails the machine is off again. */
export const start = <A, E, R>(
  machine: Machine,
  boot: (life: Life) => Effect.Effect<A, E, R | Scope.Scope>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.suspend(() => {
    const life = makeLife()
    machine.life = life
    machine.world.network.switchOn(machine.host)
    machine.world.trace.record(`${machine.name} starts`)
    return boot(life).pipe(
      Scope.provide(life.scope),
      Effect.onError(() => (machine.life === life ? shutDown(machine) : Effect.void))
    )
  })

/** Stops a machine's node in good order: its programs end as on SIGTERM. */
export const shutDown = (machine: Machine): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { life } = machine
    if (life === undefined) return Effect.void
    return Effect.andThen(
      Scope.close(life.scope, Exit.void),
      Effect.sync(() => {
        if (machine.life !== life) return
        const { host, name, world } = machine
        // Going dark closes them, so this is the last time to see what a node forgot.
        if (host.sockets.size > 0) world.violated(`${name} has stopped and left ${host.sockets.size} sockets`)
        const open = world.tcp.openOf(host)
        if (open > 0) world.violated(`${name} has stopped and left ${open} connections`)
        goDark(machine, false)
      })
    )
  })

/** Kills a machine's node (`kill -9`): its files stay, its TCP connections are reset by the kernel. */
export const kill = (machine: Machine): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { life } = machine
    if (life === undefined) return Effect.void
    machine.disk.releaseLocks()
    machine.world.trace.record(`${machine.name} is killed`)
    goDark(machine, false)
    return inTheDark(life)
  })

/** Takes the power from a machine: nobody hears of it, and of what was not synced chance decides. */
export const crash = (machine: Machine): Effect.Effect<void> =>
  Effect.suspend(() => {
    const lives = [...(machine.life === undefined ? [] : [machine.life]), ...machine.processes]
    if (lives.length === 0) return Effect.void
    machine.disk.crash(machine.random)
    machine.world.trace.record(`${machine.name} crashes`)
    machine.processes.clear()
    goDark(machine, true)
    return Effect.forEach(lives, inTheDark, { discard: true })
  })

/** A process beside the node; whoever starts it runs it in the scope, and ends it. */
export const startProcess = (machine: Machine): Life => {
  const life = makeLife()
  machine.processes.add(life)
  return life
}

/** A process ends in good order. */
export const stopProcess = (machine: Machine, process: Life): Effect.Effect<void> =>
  Effect.andThen(
    Scope.close(process.scope, Exit.void),
    Effect.sync(() => void machine.processes.delete(process))
  )

/** All of them. */
export const stopProcesses = (machine: Machine): Effect.Effect<void> =>
  Effect.forEach([...machine.processes], (process) => stopProcess(machine, process), { discard: true })

/** A process is killed (`kill -9`). */
export const killProcess = (machine: Machine, process: Life): Effect.Effect<void> =>
  Effect.suspend(() => {
    machine.processes.delete(process)
    return inTheDark(process)
  })

/** What is left of a program is closed in the dark: it reaches neither network nor disk. */
const inTheDark = ({ killed, scope }: Life): Effect.Effect<void> =>
  Effect.andThen(
    Deferred.succeed(killed, undefined),
    Effect.asVoid(Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true }))
  )

const goDark = (machine: Machine, isSudden: boolean): void => {
  machine.life = undefined
  machine.world.tcp.stop(machine.host, isSudden)
  machine.world.webSockets.stop(machine.host, isSudden)
  machine.world.network.switchOff(machine.host)
}

const text = (message: unknown): string =>
  Array.isArray(message) ? message.map(text).join(" ") : typeof message === "string" ? message : JSON.stringify(message)

/** How often the checkers of tables and limits look. */
export const CHECK_MS = 100
