"""Writing archives: wheels laid out in one zip that this interpreter can use where it lies. Needs ``intact[pack]``."""
