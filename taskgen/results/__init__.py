"""Results at rest: their columns, the database that holds them, and how it is kept in bounds."""
