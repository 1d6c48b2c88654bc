/** Standard streams of a command. A reader that went away (`| head`) ends the output, not the command. */
import { Effect, Stdio, Stream } from "effect"

/** Writes to standard output as it is. */
export const print = (text: string): Effect.Effect<void, never, Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Effect.ignore(Stream.run(Stream.make(text), stdio.stdout())))

/** Writes bytes to standard output, waiting for whoever reads them. */
export const write = (bytes: Uint8Array): Effect.Effect<void, never, Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Effect.ignore(Stream.run(Stream.make(bytes), stdio.stdout())))

/** One line to standard output. */
export const line = (text: string): Effect.Effect<void, never, Stdio.Stdio> => print(`${text}\n`)

/** Writes to standard error as it is. */
export const printError = (text: string): Effect.Effect<void, never, Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Effect.ignore(Stream.run(Stream.make(text), stdio.stderr())))

/** Progress for a person: one line on standard error, nothing with `--json` (cli §1.2). */
export const note = (input: { readonly json: boolean }, text: string): Effect.Effect<void, never, Stdio.Stdio> =>
  input.json ? Effect.void : printError(`${text}\n`)

/** All of standard input as text; reading stops with `undefined` above `maxBytes`. */
export const readAll = (maxBytes: number): Effect.Effect<string | undefined, never, Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) =>
    stdio.stdin.pipe(
      Stream.runFoldEffect(
        () => ({ chunks: [] as ReadonlyArray<Uint8Array>, sizeBytes: 0 }),
        (all, chunk) => {
          const sizeBytes = all.sizeBytes + chunk.length
          return sizeBytes > maxBytes
            ? Effect.fail("TooLong")
            : Effect.succeed({ chunks: [...all.chunks, chunk], sizeBytes })
        }
      ),
      Effect.map(({ chunks }) => decode(chunks)),
      Effect.orElseSucceed(() => undefined)
    )
  )

const decode = (chunks: ReadonlyArray<Uint8Array>): string => {
  const decoder = new TextDecoder()
  return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode()
}
