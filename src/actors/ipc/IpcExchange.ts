/**
 * Matches replies to requests (node §1.3). The protocol has no request ids: replies come in the order of the requests,
 * so the oldest one takes the next reply. A request nobody waits for any more keeps its place, otherwise its late reply
 * would be handed to the next request of the same kind. Mutable, with one owner.
 */
import { Deferred, Exit } from "effect"
import type { IpcReply } from "../../protocol/wire/IpcReply.ts"
import { IpcError } from "./IpcError.ts"

/** One request that has been sent. */
export interface Pending {
  readonly operation: string
  /** True for the reply of success. */
  readonly accepts: (reply: IpcReply) => boolean
  readonly reply: Deferred.Deferred<IpcReply, IpcError>
  /** Nobody waits any more; whoever settles it next undoes what the reply brought. */
  isAbandoned: boolean
  /** The reply of success, once it came. */
  delivered: IpcReply | undefined
}

/** The requests in flight, oldest first. */
export class IpcExchange {
  readonly #pending: Array<Pending> = []
  #isLost = false

  /** Call before the request goes out. */
  begin(operation: string, accepts: Pending["accepts"]): Pending {
    const reply = Deferred.makeUnsafe<IpcReply, IpcError>()
    const pending: Pending = { operation, accepts, reply, isAbandoned: false, delivered: undefined }
    if (this.#isLost) lose(pending)
    else this.#pending.push(pending)
    return pending
  }

  /** Hands a reply to the request it belongs to; false when it belongs to none, or to one nobody waits for. */
  settle(reply: IpcReply): boolean {
    const oldest = this.#pending[0]
    if (oldest === undefined) return false
    if (reply._tag === "Error" ? isForSend(reply.message) : !oldest.accepts(reply)) return false
    this.#pending.shift()
    if (reply._tag === "Error") {
      const error = new IpcError({ reason: "Daemon", operation: oldest.operation, detail: reply.message })
      Deferred.doneUnsafe(oldest.reply, Exit.fail(error))
    } else {
      oldest.delivered = reply
      Deferred.doneUnsafe(oldest.reply, Exit.succeed(reply))
    }
    return !oldest.isAbandoned
  }

  /** The socket is gone: no reply will come. */
  lose(): void {
    this.#isLost = true
    for (const pending of this.#pending.splice(0)) lose(pending)
  }
}

const lose = ({ operation, reply }: Pending): void => {
  Deferred.doneUnsafe(reply, Exit.fail(new IpcError({ reason: "Disconnected", operation, detail: "" })))
}

/** Old daemons answer a failed Send or SendTo, for which nobody waits, with an Error (node §1.5). */
const isForSend = (message: string): boolean =>
  message.startsWith("send:") || message.startsWith("sendto:") || /^connection \d+ not found$/.test(message)
