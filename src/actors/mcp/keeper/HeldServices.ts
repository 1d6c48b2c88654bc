/**
 * Services that running programs of this host expose for as long as they hold them (`KeeperControl`): who holds which, and
 * how a client of one comes to a server in that program.
 *
 * Owned by the keeper process; told by the conversations with the programs.
 */
import { Cause, Deferred, Effect, type Scope } from "effect"
import type { Duplex } from "../../../core/net/Duplex.ts"
import type { Caller, Opening } from "../KeeperControl.ts"
import { CannotStart, type Child, ChildGone } from "../server/Child.ts"
import type { Service } from "./ServiceTable.ts"

/** Tells the program that a client waits. */
export type Tell = (opening: Opening) => Effect.Effect<void, { readonly message: string }>

/** Mutable, with one owner. */
export class HeldServices {
  readonly #held = new Map<string, { readonly service: Service; readonly tell: Tell }>()
  readonly #waiting = new Map<string, Deferred.Deferred<Carried>>()

  /** All of them, by name. */
  get services(): ReadonlyArray<Service> {
    return [...this.#held.values()].map(({ service }) => service)
  }

  find(name: string): Service | undefined {
    return this.#held.get(name)?.service
  }

  /** False if that name is held already, or there is no room for another. */
  add(service: Service, tell: Tell): boolean {
    if (this.#held.has(service.name) || this.#held.size >= HELD_MAX) return false
    this.#held.set(service.name, { service, tell })
    return true
  }

  remove(service: Service): void {
    if (this.#held.get(service.name)?.service === service) this.#held.delete(service.name)
  }

  /** A server in the program that holds the service, in the surrounding scope. `ticket` is a fresh secret. */
  open(name: string, ticket: string, caller: Caller): Effect.Effect<Child, CannotStart, Scope.Scope> {
    const self = this
    return Effect.gen(function* () {
      const held = self.#held.get(name)
      if (held === undefined) return yield* new CannotStart({ detail: "the program that exposed it is gone" })
      const carried = yield* Deferred.make<Carried>()
      self.#waiting.set(ticket, carried)
      const { duplex, released } = yield* held.tell({ ticket, caller }).pipe(
        Effect.andThen(Deferred.await(carried)),
        Effect.timeout(CARRY_TIMEOUT),
        Effect.mapError(({ message }) => new CannotStart({ detail: `its program does not answer: ${message}` })),
        Effect.ensuring(Effect.sync(() => self.#waiting.delete(ticket)))
      )
      yield* Effect.addFinalizer(() => Deferred.succeed(released, undefined))
      return childOf(duplex, released)
    })
  }

  /** The program has opened a stream for that ticket; done when nobody needs it any more. */
  carry(ticket: string, duplex: Duplex<{ readonly message: string }>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const waiting = this.#waiting.get(ticket)
      if (waiting === undefined) return
      const released = yield* Deferred.make<void>()
      yield* Deferred.succeed(waiting, { duplex, released })
      yield* Deferred.await(released)
    })
  }
}

interface Carried {
  readonly duplex: Duplex<{ readonly message: string }>
  /** Completed when the stream is no longer needed. */
  readonly released: Deferred.Deferred<void>
}

const childOf = ({ read, ...duplex }: Carried["duplex"], released: Deferred.Deferred<void>): Child => {
  const gone = (error: { readonly message: string }) => new ChildGone({ detail: error.message })
  const over = Deferred.makeUnsafe<string>()
  const end = Effect.sync(() => Deferred.doneUnsafe(over, Effect.succeed("its program ended it")))
  return {
    pid: undefined,
    stdio: {
      read: Effect.mapError(
        Effect.tapError(read, () => end),
        (error) => (Cause.isDone(error) ? error : gone(error))
      ),
      write: (bytes) => Effect.mapError(duplex.write(bytes), gone),
      end: Effect.asVoid(Deferred.succeed(released, undefined))
    },
    exited: Deferred.await(over),
    stderrTail: Effect.succeed([])
  }
}

/** Services held at the same time. */
const HELD_MAX = 64
/** How long a program may take to open a stream for a client. */
const CARRY_TIMEOUT = "10 seconds"
