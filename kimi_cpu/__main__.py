"""`python -m kimi_cpu` is `kimi-cpu`."""

from .cli import main

if __name__ == "__main__":
    main()
