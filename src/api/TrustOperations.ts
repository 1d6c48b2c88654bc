/** Where the operations of `Trust` are performed: by a node in this process, or by a running daemon. */
import { Effect, type Scope } from "effect"
import * as IpcAnswer from "../actors/ipc/IpcAnswer.ts"
import type { IpcClient } from "../actors/ipc/IpcClient.ts"
import * as IpcError from "../actors/ipc/IpcError.ts"
import * as IpcTrust from "../actors/ipc/IpcTrust.ts"
import type { Node } from "../actors/node/Node.ts"
import type { PeerKeys } from "../actors/trust/PeerKeys.ts"
import { Trust } from "../actors/trust/Trust.ts"
import * as Provided from "../core/actor/Provided.ts"
import type { Crypto } from "../core/crypto/Crypto.ts"
import type { PilotError } from "./PilotService.ts"
import { type Operations, TrustError } from "./TrustService.ts"

/** On the services of a node; `rendezvous` is where it is registered, for its invitations. */
export const inProcess = Effect.fnUntraced(function* (
  rendezvous: Effect.Effect<IpcTrust.Rendezvous>
): Effect.fn.Return<Operations, never, Crypto | Node | PeerKeys | Trust> {
  const services = yield* Provided.services<Crypto | Node | PeerKeys | Trust>()
  const trust = yield* Trust
  const perform = <A>(effect: Effect.Effect<A, string, Crypto | Node | PeerKeys | Trust>) =>
    Effect.mapError(Effect.provideContext(effect, services), refused)
  return {
    pending: perform(Effect.andThen(trust.poll, IpcAnswer.pendingList)),
    trusted: perform(IpcAnswer.trustedList),
    request: (node, justification) =>
      perform(
        Effect.mapBoth(trust.request(node, justification), {
          onFailure: (error) => `handshake request: ${IpcAnswer.trustText(error)}`,
          onSuccess: (status) => ({ status })
        })
      ),
    approve: (node, fingerprint) => perform(IpcAnswer.approved(node, trust.approve(node, fingerprint))),
    reject: (node, reason) => perform(IpcAnswer.rejected(node, trust.reject(node, reason))),
    revoke: (node) =>
      perform(Effect.mapError(trust.revoke(node), (error) => `handshake revoke: ${IpcAnswer.trustText(error)}`)),
    invitation: (op, value) =>
      perform(IpcTrust.perform({ rendezvous }, op, value) ?? Effect.fail(`unknown operation: ${op}`))
  }
})

/** Over the socket of a daemon; each opens one of its own. */
export const overDaemon = (open: Effect.Effect<IpcClient, PilotError, Scope.Scope>): Operations => {
  const ask = <A>(question: (client: IpcClient) => Effect.Effect<A, IpcError.IpcError>) =>
    Effect.scoped(Effect.flatMap(open, question)).pipe(
      Effect.mapError((error) =>
        error._tag === "IpcError" && error.reason === "Daemon"
          ? refused(error.detail)
          : new TrustError({
              reason: "Unreachable",
              detail: error._tag === "IpcError" ? IpcError.describe(error) : error.message
            })
      )
    )
  return {
    pending: ask((client) => client.pending),
    trusted: ask((client) => client.extension("trust.keys", {})),
    request: (node, justification) => ask((client) => client.handshake(node, justification)),
    approve: (node, fingerprint) =>
      ask((client) =>
        fingerprint === undefined ? client.approve(node) : client.extension("approve", { node, fingerprint })
      ),
    reject: (node, reason) => ask((client) => client.reject(node, reason)),
    revoke: (node) => ask((client) => client.revoke(node)),
    invitation: (op, value) => ask((client) => client.extension(op, value))
  }
}

const refused = (detail: string) => new TrustError({ reason: "Refused", detail })
