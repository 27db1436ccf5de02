"""Tools for maintainers: the mutation trial (`mutation_trial`) and the listing of public names (`public_names`)."""
