/** Which files may be sent as a result (node §6.6): documents, data, models and pictures, as the reference has it. */

/** The last extension with its dot, in lower case; empty for none. */
export const extensionOf = (name: string): string => {
  const dot = name.lastIndexOf(".")
  return dot === -1 ? "" : name.slice(dot).toLowerCase()
}

/** Whether a peer of the reference would send it. */
export const isAllowed = (name: string): boolean => EXTENSIONS.has(extensionOf(name))

const EXTENSIONS: ReadonlySet<string> = new Set(
  (
    ".md .txt .rtf .docx .pdf .pptx .pth .pt .onnx .h5 .pb .ckpt .safetensors .bin .csv .parquet .xlsx .xls " +
    ".jpg .jpeg .png .svg .gif .webp"
  ).split(" ")
)
