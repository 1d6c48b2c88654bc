/**
 * Who watches the senders of a node's streams, for plots and diagnosis. Nobody unless provided, and then nothing is spent:
 * provide it to whatever starts the node, `Effect.provideService(StreamObserver, (connection) => (sample) => …)`.
 */
import { Context } from "effect"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { Observer } from "../../protocol/stream/StreamSample.ts"

/** What is told of a stream when it opens: `ConnectionOpened` of the node's events. */
export type Opened = Extract<ProtocolEvent, { readonly _tag: "ConnectionOpened" }>

/** Asked once for each stream; answers who takes its samples, `undefined` for nobody. Called on the packet path. */
export const StreamObserver = Context.Reference<(opened: Opened) => Observer | undefined>(
  "effect-pilot/StreamObserver",
  {
    defaultValue: () => () => undefined
  }
)
