/** Prints rows as right-aligned columns; the first row is the head. */
export function table(rows: readonly (readonly (string | number)[])[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) {
    console.log(`  ${row.map((cell, i) => String(cell).padStart(widths[i]!)).join('   ')}`);
  }
}
