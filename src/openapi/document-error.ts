/** A document that cannot be used at all: its text cannot be read, or it is no OpenAPI 3 document. */
export class DocumentError extends Error {
  /** Where in the text, from 1; null: the text is sound. */
  readonly line: number | null;
  readonly column: number | null;

  constructor(message: string, place: { readonly line: number; readonly column: number } | null = null) {
    super(place === null ? message : `line ${place.line}, column ${place.column}: ${message}`);
    this.line = place?.line ?? null;
    this.column = place?.column ?? null;
  }
}
