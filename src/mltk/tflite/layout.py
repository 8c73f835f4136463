"""Which field of a .tflite's tables has which form: what `verify.py` walks by.

Facts of the TensorFlow Lite schema (`tensorflow/compiler/mlir/lite/schema/schema.fbs`), one word a field in
the order of the
slots: `1 2 4 8` a scalar of so many bytes; `v1 v2 v4 v8` a list of such scalars; `s` a string; `t:NAME` a
    table; `V:NAME` a
list of tables; `u:NAME` a union whose type is in the slot before; `-` a slot that is no longer used; `none`
must be absent. A test compares this page with the schema package that is installed.
"""

TABLES: dict[str, str] = {
    # Weights outside the flatbuffer (for models above 2 GB) are refused: ExternalBuffers, Buffer.offset/size.
    "Model": "4 V:OperatorCode V:SubGraph s V:Buffer v4 V:Metadata V:SignatureDef none none",
    "OperatorCode": "1 s 4 4",
    "SubGraph": "V:Tensor v4 v4 V:Operator s 4",
    "Tensor": "v4 1 4 s t:QuantizationParameters 1 t:SparsityParameters v4 1 V:VariantSubType 4",
    "QuantizationParameters": "v4 v4 v4 v8 1 u:QuantizationDetails 4",
    "SparsityParameters": "v4 v4 V:DimensionMetadata",
    "DimensionMetadata": "1 4 1 u:SparseIndexVector 1 u:SparseIndexVector",
    "Operator": "4 v4 v4 1 u:BuiltinOptions v1 1 v1 v4 8 8 1 u:BuiltinOptions2 4",
    "Buffer": "v1 8 8",
    "Metadata": "s 4",
    "SignatureDef": "V:TensorMap V:TensorMap s - 4",
    "TensorMap": "s 4",
    "VariantSubType": "v4 1 1",
}

# Union -> type id -> fields of the member table.
UNIONS: dict[str, dict[int, str]] = {
    "QuantizationDetails": {1: "v1", 2: "4 4 4 v4", 3: "4 4 4 v4"},
    "SparseIndexVector": {1: "v4", 2: "v2", 3: "v1"},
    # Only StableHLO: not for microcontrollers, and not read.
    "BuiltinOptions2": {},
    "BuiltinOptions": {
        **dict.fromkeys(range(1, 127), ""),  # the members that are not named below have no fields
        1: "1 4 4 1 4 4 1",  # Conv2D
        2: "1 4 4 4 1 4 4",  # DepthwiseConv2D
        3: "4 v4 v4",  # ConcatEmbeddings
        4: "1",  # LSHProjection
        5: "1 4 4 4 4 1",  # Pool2D
        6: "4 1 1",  # SVDF
        7: "1 1",  # RNN
        8: "1 1 1 1 1 v1",  # FullyConnected
        9: "4",  # Softmax
        10: "4 1",  # Concatenation
        11: "1 1",  # Add
        12: "1",  # L2Norm
        13: "4 4 4 4",  # LocalResponseNormalization
        14: "1 4 4 1 1",  # LSTM
        15: "- - 1 1",  # ResizeBilinear
        16: "4",  # Call
        17: "v4",  # Reshape
        18: "4 4 1",  # SkipGram
        19: "4",  # SpaceToDepth
        20: "1",  # EmbeddingLookupSparse
        21: "1",  # Mul
        23: "4 4",  # Gather
        27: "1",  # Reducer
        28: "1 1",  # Sub
        29: "1",  # Div
        30: "v4",  # Squeeze
        31: "1 1 1",  # SequenceRNN
        32: "4 4 4 4 4 1",  # StridedSlice
        35: "4",  # Split
        37: "1 1",  # Cast
        40: "1",  # ArgMax
        49: "1 4 4 1 1",  # TransposeConv
        50: "1",  # SparseToDense
        55: "1",  # Shape
        57: "1",  # ArgMin
        58: "4 4 4 1",  # FakeQuant
        59: "4 4",  # Pack
        61: "4",  # OneHot
        64: "4 4",  # Unpack
        69: "1 4 4 1 1 1",  # BidirectionalSequenceLSTM
        70: "1 1 1 1",  # BidirectionalSequenceRNN
        71: "1 4 4 1 1 1",  # UnidirectionalSequenceLSTM
        74: "1 1",  # ResizeNearestNeighbor
        75: "4",  # LeakyRelu
        77: "1",  # MirrorPad
        79: "4",  # SplitV
        80: "1",  # Unique
        87: "4 4",  # ReverseSequence
        92: "4 4",  # If
        93: "4 4",  # While
        94: "4",  # DepthToSpace
        101: "1 1 1",  # BatchMatMul
        102: "1 1",  # Cumsum
        103: "4",  # CallOnce
        106: "1 4 4 4 1 4 4 4",  # Conv3D
        107: "4 1 1",  # Hashtable
        111: "s s",  # VarHandle
        114: "8 8",  # Random
        115: "v4",  # Bucketize
        116: "1",  # Gelu
    },
}
