"""The Speech Commands trainer: the flags of TensorFlow's scripts, done with this package's feeds, nets and fit loop."""
