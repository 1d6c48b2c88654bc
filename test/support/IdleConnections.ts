/**
 * Two nodes of this process with as many idle connections between them as the argument says: what one end of one costs,
 * printed as JSON. A program of its own, because it needs a heap that nobody else uses: `node --expose-gc`.
 */
import { Clock, Effect } from "effect"
import { defaultLimits, PortTable } from "../../src/protocol/stream/PortTable.ts"
import { Port } from "../../src/protocol/wire/Address.ts"
import * as NodeNet from "./NodeNet.ts"

/** What was found, once everything had come to rest. */
export interface Report {
  readonly connections: number
  /** Heap and array buffers, of one end. */
  readonly bytesPerEnd: number
  /** Sleeps that the clock was asked for and that have not ended, before and after. */
  readonly sleepsBefore: number
  readonly sleepsAfter: number
}

const measure = Effect.fnUntraced(function* (connections: number) {
  const clock = new CountingClock(yield* Clock.Clock)
  const program = Effect.gen(function* () {
    const net = yield* NodeNet.make()
    const limits = { ...defaultLimits, connectionsPerPortMax: 2 * connections, connectionsMax: 2 * connections }
    const settings = () => ({ ports: new PortTable(limits, 0), report: () => {} })
    const a = yield* net.node("192.0.2.1", settings())
    const b = yield* net.node("192.0.2.2", settings())
    yield* NodeNet.pinEachOther(a, b)
    const listener = yield* b.node.listen(PORT)
    yield* Effect.forkScoped(Effect.forever(listener.accept, { disableYield: true }))
    const dial = a.node.dial(b.address, PORT)
    const open = (count: number) => Effect.replicateEffect(dial, count, { concurrency: DIALS_AT_ONCE, discard: true })
    const settled = Effect.andThen(Effect.sleep(SETTLE), Effect.promise(usedBytes))

    // What is made once has been made, and the compiler has seen it, before anything is counted.
    yield* open(WARM_UP)
    const bytesBefore = yield* settled
    const sleepsBefore = clock.sleeping
    yield* open(connections)
    const bytesAfter = yield* settled
    const report: Report = {
      connections: (yield* a.node.status).connections.length - WARM_UP,
      bytesPerEnd: (bytesAfter - bytesBefore) / (2 * connections),
      sleepsBefore,
      sleepsAfter: clock.sleeping
    }
    console.log(JSON.stringify(report))
    // Nothing that ten thousand connections would do at their end is of interest.
    process.exit()
  })
  return yield* Effect.provideService(Effect.scoped(program), Clock.Clock, clock)
})

/** The clock of the machine; counts who sleeps. */
class CountingClock implements Clock.Clock {
  sleeping = 0
  readonly #clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  currentTimeMillisUnsafe(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  get currentTimeMillis(): Effect.Effect<number> {
    return this.#clock.currentTimeMillis
  }

  currentTimeNanosUnsafe(): bigint {
    return this.#clock.currentTimeNanosUnsafe()
  }

  get currentTimeNanos(): Effect.Effect<bigint> {
    return this.#clock.currentTimeNanos
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  get monotonicTimeNanos(): Effect.Effect<bigint> {
    return this.#clock.monotonicTimeNanos
  }

  sleep(...[duration]: Parameters<Clock.Clock["sleep"]>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.sleeping++
      const awake = Effect.sync(() => void this.sleeping--)
      return Effect.ensuring(this.#clock.sleep(duration), awake)
    })
  }
}

/** After collections enough that what is left is in use. */
const usedBytes = async (): Promise<number> => {
  for (let count = 0; count < COLLECTIONS; count++) {
    globalThis.gc?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const PORT = Port(1000)
const WARM_UP = 100
/** Fewer than may wait to be accepted. */
const DIALS_AT_ONCE = 16
/** Acknowledgements that were delayed have left. */
const SETTLE = "1 second"
const COLLECTIONS = 4

await Effect.runPromise(measure(Number(process.argv[2])))
