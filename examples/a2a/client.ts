/** The A2A client from npm, unmodified: it is given a `fetch` that leads to peers, and nothing else of Pilot. */
import { type Message, Role, TaskState } from "@a2a-js/sdk"
import { type Client, ClientFactory, DefaultAgentCardResolver, JsonRpcTransportFactory } from "@a2a-js/sdk/client"
import { Effect, Schema, Stream } from "effect"
import { Pilot } from "effect-pilot"

/** The client gave up, or the agent said no. */
export class A2aFailed extends Schema.TaggedError<A2aFailed>()("A2aFailed", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/** Reads the card at `http://NAME.pilot:PORT` and connects as it says. */
export const connect = (url: string) =>
  Effect.flatMap(Pilot.fetch, (fetchImpl) =>
    attempt(() =>
      new ClientFactory({
        transports: [new JsonRpcTransportFactory({ fetchImpl })],
        cardResolver: new DefaultAgentCardResolver({ fetchImpl })
      }).createFromUrl(url)
    )
  )

/** Sends a text, and tells what happens to the task: its states, and the texts that come of it. */
export const ask = (client: Client, text: string): Stream.Stream<string, A2aFailed> =>
  Stream.fromAsyncIterable(client.sendMessageStream(request(text)), failed).pipe(
    Stream.flatMap(({ payload }) => {
      switch (payload?.$case) {
        case "task":
        case "statusUpdate":
          return Stream.succeed(TaskState[payload.value.status?.state ?? 0]!.replace("TASK_STATE_", ""))
        case "artifactUpdate":
          return Stream.fromIterable(
            (payload.value.artifact?.parts ?? []).flatMap(({ content }) =>
              content?.$case === "text" ? [content.value] : []
            )
          )
        default:
          return Stream.empty
      }
    })
  )

const request = (text: string) => ({
  tenant: "",
  message: messageOf(text),
  configuration: undefined,
  metadata: undefined
})

const messageOf = (value: string): Message => ({
  ...{ messageId: crypto.randomUUID(), contextId: "", taskId: "", role: Role.ROLE_USER },
  parts: [{ content: { $case: "text", value }, metadata: undefined, filename: "", mediaType: "text/plain" }],
  ...{ metadata: undefined, extensions: [], referenceTaskIds: [] }
})

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, A2aFailed> =>
  Effect.tryPromise({ try: run, catch: failed })

const failed = (cause: unknown): A2aFailed =>
  new A2aFailed({ detail: cause instanceof Error ? cause.message : String(cause) })
