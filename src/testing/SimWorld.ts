/**
 * What everything in one simulation shares: its time, its network, its chance, its trace and its checkers; and the
 * machines in it, each with a disk, a clock and cryptography of its own.
 */
import { Clock, Context, Effect, Exit, Logger, Metric, Random, References, Scheduler, Scope } from "effect"
import type { Crypto } from "../core/crypto/Crypto.ts"
import { ClearText } from "./ClearText.ts"
import * as MemoryDisk from "./MemoryDisk.ts"
import * as SeededCrypto from "./SeededCrypto.ts"
import * as SeededRandom from "./SeededRandom.ts"
import { SimDriver } from "./SimDriver.ts"
import { StreamLedger } from "./StreamLedger.ts"
import { Trace } from "./Trace.ts"
import { type Access, type Host, type Segment, VirtualNetwork } from "./VirtualNetwork.ts"
import { type Skew, VirtualTime } from "./VirtualTime.ts"
import { TcpTable } from "./VirtualTls.ts"

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
  readonly driver: SimDriver
  readonly ledger: StreamLedger
  readonly clearText = new ClearText()
  readonly #checks: Array<() => string | undefined> = []
  #nextCheckAtMs = 0

  constructor(seed: number) {
    this.seed = seed
    this.trace = new Trace(() => this.time.nowMs)
    this.network = new VirtualNetwork(this.time, SeededRandom.make(SeededRandom.derive(seed, "network")), this.trace)
    this.tcp = new TcpTable(this.network, SeededCrypto.make(`${seed} tls`))
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
  services(name: string, skew: Skew = { skewMs: 0 }): Context.Context<never> {
    const random = SeededRandom.make(SeededRandom.derive(this.seed, `${name} random`))
    return Context.empty().pipe(
      Context.add(Clock.Clock, this.time.clock(skew)),
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
  readonly crypto: Crypto["Service"]
  readonly skew: Skew
  readonly services: Context.Context<never>
  readonly random: SeededRandom.SeededRandom
  /** From one start to the next stop. */
  life: Life | undefined
}

/** What goes when it is switched off. */
export interface Life {
  readonly scope: Scope.Closeable
}

/** A machine that is off. */
export const makeMachine = (world: SimWorld, name: string, segment: Segment, access: Access): Machine => {
  const skew = { skewMs: 0 }
  return {
    world,
    name,
    host: world.network.addHost(name, segment, access),
    disk: new MemoryDisk.MemoryDisk(),
    crypto: SeededCrypto.make(`${world.seed} ${name}`),
    skew,
    services: world.services(name, skew),
    random: SeededRandom.make(SeededRandom.derive(world.seed, `${name} disk`)),
    life: undefined
  }
}

/** Starts a machine; `boot` runs in its life's scope. When it fails the machine is off again. */
export const start = <A, E, R>(
  machine: Machine,
  boot: (life: Life) => Effect.Effect<A, E, R | Scope.Scope>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.suspend(() => {
    const life: Life = { scope: Scope.makeUnsafe("sequential") }
    machine.life = life
    machine.world.network.switchOn(machine.host)
    machine.world.trace.record(`${machine.name} starts`)
    return boot(life).pipe(
      Scope.provide(life.scope),
      Effect.onError(() => (machine.life === life ? shutDown(machine) : Effect.void))
    )
  })

/** Stops a machine in good order: its programs end as on SIGTERM. */
export const shutDown = (machine: Machine): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { life } = machine
    if (life === undefined) return Effect.void
    return Effect.andThen(
      Scope.close(life.scope, Exit.void),
      Effect.sync(() => {
        if (machine.life === life) goDark(machine, false)
      })
    )
  })

/** Kills a machine's programs (`kill -9`): their files stay, their TCP connections are reset by the kernel. */
export const kill = (machine: Machine): Effect.Effect<void> =>
  end(machine, () => {
    machine.disk.releaseLocks()
    machine.world.trace.record(`${machine.name} is killed`)
    goDark(machine, false)
  })

/** Takes the power from a machine: nobody hears of it, and of what was not synced chance decides. */
export const crash = (machine: Machine): Effect.Effect<void> =>
  end(machine, () => {
    machine.disk.crash(machine.random)
    machine.world.trace.record(`${machine.name} crashes`)
    goDark(machine, true)
  })

/** What is left of the programs is closed in the dark: it reaches neither network nor disk. */
const end = (machine: Machine, stop: () => void): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { life } = machine
    if (life === undefined) return Effect.void
    stop()
    return Effect.asVoid(Effect.forkDetach(Scope.close(life.scope, Exit.void), { startImmediately: true }))
  })

const goDark = (machine: Machine, isSudden: boolean): void => {
  machine.life = undefined
  machine.world.tcp.stop(machine.host, isSudden)
  machine.world.network.switchOff(machine.host)
}

const text = (message: unknown): string =>
  Array.isArray(message) ? message.map(text).join(" ") : typeof message === "string" ? message : JSON.stringify(message)

/** How often the checkers of tables and limits look. */
export const CHECK_MS = 100
